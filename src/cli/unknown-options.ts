import { CommanderError } from 'commander';
import { TsbuildError } from '../util/index.ts';

const LIMITS =
  'the limits are --memory, --memory-swap, --cpus, --pids-limit, --ulimit and --shm-size, of run and update also --cpu-shares, --cpu-quota and --cpuset-cpus, of build --resource cpu-shares=NUMBER,cpuset-cpus=LIST; others can be those of tsbuild itself: systemd-run --user --scope -p IOWeight=50';
const SANDBOX =
  "every step has a sandbox of its own with docker's default capabilities; --allow security.insecure, --allow device=NAME and --network are what can be changed";
const REGISTRY =
  'registries are configured in registries.conf (insecure = true, mirrors); credentials are those of "tsbuild login", "docker login" and "podman login"';
const PUSH = 'write --push with -t REGISTRY/NAME:TAG as often as there are names; --metadata-file has the digest';
const NO_PUSH = 'leave --push out: without it nothing is pushed';
const SIGN = 'signatures are neither made nor checked; "skopeo copy" and cosign do both';
const HOSTS = 'names are looked up as on this machine; --add-host NAME=IP adds some';
const MANIFEST = '--platform with several platforms makes an index';
const CACHE =
  'results are kept in the store; --cache-from and --cache-to are for other machines, and "tsbuild prune --filter until=DURATION" ends their time';
const DEFAULT = 'that is what always happens: leave it out';
const LAYERS =
  'every instruction makes a layer; to have one, finish with a stage "FROM scratch" that copies everything: COPY --from=<stage> / /';
const PULL =
  'images of the local store are used as they are, others are asked for anew; build has --pull=always|missing|never';
const NO_PODS =
  'containers stand alone: there are no pods, no monitor and no systemd units, and a log is a file of the store';
const VOLUMES = 'a directory or file comes with -v HOST:CONTAINER[:ro]';
const NETWORK =
  'containers of one network (--network NAME) find each other by name and --network-alias; ports come with -p [IP:]HOST:CONTAINER or -P';
const LINK =
  "links are legacy, as docker itself says: containers of one --network NAME find each other by name, and by the other one's --network-alias ALIAS";
const BOX =
  'every container has a sandbox of its own: --cap-add, --cap-drop, --device, --security-opt and --privileged are what can be changed';
const AS_IS =
  'layers are copied as they are; to compress them anew: tsbuild pull NAME, then tsbuild push --compression zstd NAME DESTINATION';
const NO_ENGINE = 'there are docker://NAME, oci:DIR, oci-archive:FILE, docker-archive:FILE and store:NAME';
const NO_POLICY = 'there is no policy for signatures; registry tokens are taken from auth files (registrytoken)';
const ENV = 'variables are set with ENV or --build-arg';

const words = (text: string): readonly string[] => text.split(' ');

/** Options of docker, podman, buildah and kaniko that neither command has. A name that ends in `*` stands for all that begin so. */
const BOTH: readonly (readonly [hint: string, names: readonly string[]])[] = [
  [
    LIMITS,
    words(
      '--memory* -m --cpu* -c --blkio* --oom* --kernel-memory --cgroup* --device-read* --device-write* --io-max* --resource* --pids',
    ),
  ],
  [SIGN, words('--sign* --signature* --disable-content-trust --decryption-key --encrypt* --encryption*')],
  [
    REGISTRY,
    words(
      '--creds --authfile --tls-verify --cert-dir --registries* --insecure* --skip-tls* --registry* --credential* --retry*',
    ),
  ],
  [HOSTS, words('--dns* --no-hosts --no-hostname --http-proxy')],
];

const HINTS: Readonly<Record<string, readonly (readonly [hint: string, names: readonly string[]])[]>> = {
  build: [
    [PUSH, words('--destination --push-* --image-name* --digest-file')],
    [NO_PUSH, words('--no-push*')],
    ['write it with -o type=oci,dest=FILE', words('--tar-path --tarPath --oci-layout-path --no-load --format')],
    [
      'the context is the argument: tsbuild build DIR; -f names the Dockerfile',
      words('--context --dockerfile --git --context-sub-path --stdin'),
    ],
    [MANIFEST, words('--os --arch --variant --custom-platform --manifest --all-platforms --os-version --os-feature')],
    [
      CACHE,
      words(
        '--cache --cache-repo --cache-dir --cache-ttl --cache-run-layers --cache-copy-layers --blob-cache --layers',
      ),
    ],
    [LAYERS, words('--squash* --single-snapshot')],
    [
      'use --reproducible, or --source-date-epoch SECONDS and --rewrite-timestamp',
      words('--created-annotation --omit-history'),
    ],
    ['use --progress=plain|tty|quiet|rawjson', words('--log* --verbosity --rusage')],
    [
      DEFAULT,
      words(
        '--cleanup --snapshot* --use-new-run --skip-unused-stages --compressed-caching --force --force-build-metadata --ignore-var-run --ignore-path --kaniko-dir --image-fs* --image-download* --initial-fs* --run-v2 --save-stages --compat-volumes --inherit* --identity-label --disable-compression --force-compression',
      ),
    ],
    [ENV, words('--env --unsetenv --env-file --build-arg-file')],
    ['change FROM, or stand in for it: --build-context NAME=docker-image://OTHER', words('--from')],
    [
      'results of the check are data: --check --call=check,format=json; policies belong to another program',
      words('--policy'),
    ],
    [
      SANDBOX,
      words(
        '--cap* --security-opt --privileged --device --devices --userns* --ipc --uts --pid --group-add --runtime* --hooks-dir --cni* --transient-mount --cw --init',
      ),
    ],
    [PULL, words('--pull-policy')],
  ],
  run: [
    [
      NO_PODS,
      words(
        '--replace --pod* --conmon* --systemd --sdnotify --annotation --rmi --use-api-socket --preserve* --requires --timeout --tz --health-on* --health-log* --health-max*',
      ),
    ],
    [VOLUMES, words('--volume-driver --image-volume --rootfs --storage-opt --read-only-tmpfs --secret --chrootdirs')],
    [LINK, words('--link')],
    [NETWORK, words('--link*')],
    [
      BOX,
      words(
        '--pidfile --runtime* --hooks-dir --device-cgroup-rule --isolation --init-path --init-ctr --shm-size-systemd --umask --uidmap --gidmap --sub* --seccomp* --passwd* --unsetenv* --hostuser --personality --rdt-class --env-host --env-merge',
      ),
    ],
    [MANIFEST, words('--os --arch --variant')],
  ],
  // Those that are of all.
  update: [],
  push: [
    ['the form is decided when an image is built: -o type=image,oci-mediatypes=false', words('--format -f')],
    ['an index goes as a whole, and --platform takes one of its images', words('--all --multi-arch')],
    [
      'what a registry has is asked for each blob, and tags are written last',
      words('--blob-cache --compat* --add-compression --rm --allow-non* --storage* --quiet-*'),
    ],
  ],
  copy: [
    [AS_IS, words('--dest-compress* --dest-decompress --compression* --force-compression')],
    [NO_ENGINE, words('--src-daemon-host --dest-daemon-host --src-shared-blob-dir --dest-shared-blob-dir')],
    ['write --platform OS/ARCH', words('--override-arch --override-os --override-variant --os --arch --variant')],
    [NO_POLICY, words('--policy --src-registry-token --dest-registry-token')],
    [SIGN, words('--sign* --encrypt* --encryption* --decryption-key')],
  ],
  volume: [
    [
      'a volume is a directory of the store; one of this machine comes with -v /DIR:/PATH, one in memory with --tmpfs /PATH',
      words(
        '--opt -o --gid --uid --availability --group --limit-bytes --required-bytes --scope --sharing --topology* --type',
      ),
    ],
    ['the name is the argument: tsbuild volume create NAME', words('--name')],
  ],
  network: [
    [
      'a network has a subnet, a gateway and a range; an address of a container is chosen with run --ip',
      words('--aux-address --config-only --config-from --ipam* --ingress --route --interface-name --disable-dns --dns'),
    ],
  ],
  images: [['"tsbuild inspect --layers NAME" says what each layer adds', words('--tree --history --sort')]],
  rmi: [['names go, and "tsbuild prune" removes what nothing needs any more', words('--no-prune --all -a --platform')]],
  import: [
    [
      'build on what was imported: FROM NAME, and CMD, ENV or LABEL behind it',
      words('--change -c --message -m --platform --os --arch --variant'),
    ],
  ],
  ps: [
    ['"tsbuild ps --format json" is data for whoever sorts', words('--sort')],
    [NO_PODS, words('--pod* -p --ns --namespace --external --sync --watch -w')],
  ],
  rm: [[NETWORK, words('--link -l')]],
  pull: [
    ['write --platform OS/ARCH', words('--os --arch --variant')],
    [SIGN, words('--decryption-key --signature-policy')],
  ],
};

/**
 * What to do instead of an option that commander does not know, where another builder has it.
 * @param command the command's name
 * @returns undefined for an error of another kind, and for an option that nobody knows
 */
export function foreignOption(command: string, error: unknown): TsbuildError | undefined {
  if (!(error instanceof CommanderError) || error.code !== 'commander.unknownOption') return undefined;
  const typed = /unknown option '([^'=]+)/.exec(error.message)?.[1] ?? '';
  // A short one may have its value right behind it: -m1g.
  const name = typed.startsWith('--') ? typed : typed.slice(0, 2);
  const own = HINTS[command === 'llb' ? 'build' : command === 'create' ? 'run' : command];
  if (own === undefined) return undefined;
  const hint = [...own, ...BOTH].find(([, names]) => names.some((pattern) => matches(pattern, name)))?.[0];
  if (hint === undefined) return undefined;
  return new TsbuildError('TSB_USAGE', `Cannot use ${name}: it is not supported`, { hint });
}

function matches(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}
