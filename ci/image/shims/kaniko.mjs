// kaniko's executor: what its command line is for tsbuild.
import { writeFileSync } from 'node:fs';
import { parseFlags, UsageError } from './flags.mjs';
import { contextOf } from './kaniko-context.mjs';
import { registriesOf } from './kaniko-registries.mjs';

const ALWAYS = 'that is what always happens';
const STORE = 'cached steps are kept in the store and in the cache repository; "tsbuild prune" ends their time';
const NO_WALK =
  'tsbuild takes no snapshots of the file system: a step writes into a directory of its own, which is its layer';
const RETRIED = 'requests are repeated with growing pauses, and broken transfers go on where they stopped';
const LOG = '--progress=plain|tty|quiet|rawjson of tsbuild says how progress is shown';

/** Flags that change nothing here, with what is so instead. */
const IGNORED = {
  '--cache-copy-layers': ALWAYS,
  '--cache-dir': 'base images are kept in the store',
  '--cache-run-layers': ALWAYS,
  '--cache-ttl': STORE,
  '--cleanup': ALWAYS,
  '--compressed-caching': NO_WALK,
  '--credential-helpers': 'credential helpers are those that the auth files name',
  '--force': 'tsbuild also runs outside of containers',
  '--force-build-metadata': ALWAYS,
  '--ignore-path': NO_WALK,
  '--ignore-var-run': NO_WALK,
  '--image-download-retry': RETRIED,
  '--image-fs-extract-retry': RETRIED,
  '--initial-fs-unpacked': NO_WALK,
  '--kaniko-dir': 'the store is at $TSBUILD_ROOT',
  '--log-format': LOG,
  '--log-timestamp': LOG,
  '--preserve-context': ALWAYS,
  '--push-retry': RETRIED,
  '--single-snapshot':
    'every instruction makes a layer; a last stage "FROM scratch" with COPY --from=STAGE / / makes one',
  '--skip-push-permission-check': 'a push that is refused fails when the first blob is sent',
  '--skip-unused-stages': ALWAYS,
  '--snapshot-mode': NO_WALK,
  '--snapshotMode': NO_WALK,
  '--use-new-run': NO_WALK,
};

/** Flags that would have changed the result. */
const REFUSED = {
  '--customPlatform': 'write --custom-platform',
  '--no-push-cache': 'leave --cache out, or give the job credentials that may only read the cache repository',
  '--push-ignore-immutable-tag-errors': 'ask first: tsbuild inspect --remote --raw NAME:TAG',
  '--registry-map': 'write mirrors into registries.conf, which $CONTAINERS_REGISTRIES_CONF names',
  '--skip-default-registry-fallback': 'mirrors are asked first and the registry after them; --offline asks nobody',
};

const SWITCHES =
  '--cache --cache-copy-layers --cache-run-layers --cleanup --compressed-caching --force --force-build-metadata --ignore-var-run ' +
  '--initial-fs-unpacked --insecure --insecure-pull --log-timestamp --no-push --no-push-cache --preserve-context ' +
  '--push-ignore-immutable-tag-errors --reproducible --single-snapshot --skip-default-registry-fallback --skip-push-permission-check ' +
  '--skip-tls-verify --skip-tls-verify-pull --skip-unused-stages --use-new-run';
const VALUES =
  '--annotation --build-arg --cache-dir --cache-repo --cache-ttl --compression --compression-level --context -c --context-sub-path ' +
  '--credential-helpers --custom-platform --customPlatform --destination -d --digest-file --dockerfile -f --git --ignore-path ' +
  '--image-download-retry --image-fs-extract-retry --image-name-tag-with-digest-file --image-name-with-digest-file ' +
  '--insecure-registry --kaniko-dir --label --log-format --oci-layout-path --push-retry --registry-certificate ' +
  '--registry-client-cert --registry-map --registry-mirror --secret --skip-tls-verify-registry --snapshot-mode --snapshotMode --tar-path ' +
  '--tarPath --target --verbosity -v';

/** @type {Readonly<Record<string, 'value' | 'switch'>>} */
export const KINDS = Object.fromEntries([
  ...SWITCHES.split(' ').map((name) => [name, /** @type {const} */ ('switch')]),
  ...VALUES.split(' ').map((name) => [name, /** @type {const} */ ('value')]),
]);

const LONG = {
  '-c': '--context',
  '-d': '--destination',
  '-f': '--dockerfile',
  '-v': '--verbosity',
  '--tarPath': '--tar-path',
};

/** Flags that are tsbuild's under another name, or the same. */
const SAME = {
  '--annotation': '--annotation',
  '--build-arg': '--build-arg',
  '--custom-platform': '--platform',
  '--dockerfile': '--file',
  '--label': '--label',
  '--secret': '--secret',
  '--target': '--target',
};

const PROGRESS = {
  panic: 'quiet',
  fatal: 'quiet',
  error: 'quiet',
  warn: 'quiet',
  info: 'plain',
  debug: 'plain',
  trace: 'plain',
};

/**
 * @param {readonly string[]} line as the executor got it
 * @param {Readonly<Record<string, string | undefined>>} env
 * @param {string} scratch a directory for files that tsbuild is to read
 * @returns {import('./run.mjs').Translation}
 * @throws {UsageError} for what tsbuild cannot do, with a hint
 */
export function translateExecutor(line, env, scratch) {
  // Scripts leave empty words where a variable is not set.
  const parsed = parseFlags(
    line.filter((word) => word !== ''),
    KINDS,
  );
  const flags = parsed.flags.map(({ name, value }) => ({ name: Object.hasOwn(LONG, name) ? LONG[name] : name, value }));
  if (parsed.words.length > 0)
    throw new UsageError(`${JSON.stringify(parsed.words[0])} is no flag`, 'the context is --context=DIRECTORY');
  /** @type {string[]} */
  const notes = [];
  const args = ['build'];
  for (const { name, value } of flags) {
    // Switched off, a flag asks for nothing.
    if (value === false) continue;
    if (Object.hasOwn(REFUSED, name)) throw new UsageError(`${name} is not supported`, REFUSED[name]);
    if (Object.hasOwn(IGNORED, name)) notes.push(`${name} is ignored: ${IGNORED[name]}`);
    if (Object.hasOwn(SAME, name)) args.push(`${SAME[name]}=${value}`);
    if (name === '--reproducible') args.push('--reproducible');
  }
  const last = (/** @type {string} */ name) => flags.findLast((flag) => flag.name === name)?.value;
  const all = (/** @type {string} */ name) => flags.flatMap((flag) => (flag.name === name ? [String(flag.value)] : []));
  const verbosity = last('--verbosity');
  args.push(`--progress=${PROGRESS[String(verbosity ?? 'info')] ?? 'plain'}`);

  const destinations = all('--destination');
  const isPushed = last('--no-push') !== true;
  if (isPushed && destinations.length === 0)
    throw new UsageError('There is no --destination', 'name one, or say --no-push to build without pushing');
  args.push(...destinations.map((name) => `--tag=${name}`), ...outputs(last, isPushed));
  args.push(...cacheOf(last, destinations[0]));
  const context = contextOf(last, env);
  notes.push(...context.notes);
  const registries = registriesOf({ last, all, destinations, env, scratch });
  notes.push(...registries.notes);
  return {
    args: [...args, ...context.args],
    notes,
    environment: { ...registries.environment, ...context.environment },
    ...(context.stdin === undefined ? {} : { stdin: context.stdin }),
    ...(wantsDigest(last) ? { finish: (metadata) => writeDigests(last, destinations, metadata) } : {}),
  };
}

/**
 * @param {(name: string) => string | boolean | undefined} last
 * @param {boolean} isPushed
 */
function outputs(last, isPushed) {
  const compression = ['compression', 'compression-level']
    .filter((name) => last(`--${name}`) !== undefined)
    .map((name) => `,${name}=${last(`--${name}`)}`)
    .join('');
  const insecure = last('--insecure') === true || last('--skip-tls-verify') === true ? ',registry.insecure=true' : '';
  const tar = last('--tar-path');
  const layout = last('--oci-layout-path');
  const found = [
    ...(isPushed ? [`type=registry${compression}${insecure}`] : []),
    ...(tar === undefined ? [] : [csv(`type=docker`, `dest=${tar}`)]),
    ...(layout === undefined ? [] : [csv('type=oci', 'tar=false', `dest=${layout}`) + compression]),
  ];
  // Without an output a build is only tried, but for its digest.
  if (found.length === 0) found.push(wantsDigest(last) ? 'type=image' : 'type=cacheonly');
  return found.map((output) => `--output=${output}`);
}

/** One record of comma-separated values. @param {readonly string[]} fields */
export function csv(...fields) {
  return fields.map((field) => (/[",\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(',');
}

/**
 * kaniko keeps a tag for each layer in a repository, by default DESTINATION/cache; here it is a tag for each step, and one that lists them.
 * @param {(name: string) => string | boolean | undefined} last
 * @param {string | undefined} destination
 */
function cacheOf(last, destination) {
  if (last('--cache') !== true) return [];
  const repository = last('--cache-repo');
  if (typeof repository === 'string' && repository.startsWith('oci:')) {
    const path = repository.slice('oci:'.length);
    return [
      `--cache-from=${csv('type=local', `src=${path}`)}`,
      `--cache-to=${csv('type=local', 'mode=max', `dest=${path}`)}`,
    ];
  }
  if (repository === undefined && destination === undefined)
    throw new UsageError('There is no place for the cache', 'give --cache-repo=REPOSITORY, or a --destination');
  const base = String(repository ?? `${repositoryOf(destination ?? '')}/cache`);
  const reference = repositoryOf(base) === base ? `${base}:tsbuild` : base;
  return [`--cache-from=type=registry,ref=${reference}`, `--cache-to=type=registry,mode=max,ref=${reference}`];
}

/** A name without its tag and digest. @param {string} name */
function repositoryOf(name) {
  return name.replace(/@.*$/, '').replace(/:[^/:]*$/, '');
}

/** @param {(name: string) => string | boolean | undefined} last */
function wantsDigest(last) {
  return ['--digest-file', '--image-name-with-digest-file', '--image-name-tag-with-digest-file'].some(
    (name) => last(name) !== undefined,
  );
}

/**
 * @param {(name: string) => string | boolean | undefined} last
 * @param {readonly string[]} destinations
 * @param {Readonly<Record<string, unknown>>} metadata
 */
function writeDigests(last, destinations, metadata) {
  const digest = String(metadata['containerimage.digest']);
  const write = (/** @type {string} */ flag, /** @type {string} */ text) => {
    const path = last(flag);
    if (typeof path === 'string') writeFileSync(path, text);
  };
  const lines = (/** @type {(name: string) => string} */ form) =>
    destinations.map((name) => `${form(name)}@${digest}\n`).join('');
  write('--digest-file', digest);
  write('--image-name-with-digest-file', lines(repositoryOf));
  write(
    '--image-name-tag-with-digest-file',
    lines((name) => (repositoryOf(name) === name ? `${name}:latest` : name)),
  );
}
