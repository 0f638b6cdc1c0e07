/**
 * Prints what a build takes in places that give it less (docs/isolation.md) beside what it takes on the machine itself, on rung 1, as root
 * with Debian's podman, runc and mmdebstrap:
 *
 *   npm run places -- [--rounds N] [--base FILE] [PLACE…]
 *
 * Places build examples/web; rungs also install thirty packages of Debian. Nothing is cached, the packages are in the base image, and
 * each build is followed or preceded by the same on rung 1, so that both have the same disk. Shown are medians, and the medians of the ratios
 * within the pairs: of the time, and of the time of processors, which other work on the machine and its disk change less. TMPDIR should be on
 * a disk with a journal: without one, ext4 makes files the slower the more were deleted in the last minutes, as between builds here. Containers have
 * the file system of / alone, so that for them TMPDIR has to be on that. FILE is an archive
 * of the base image, which is made where it is not there; making it needs Debian's mirror.
 */
import { chmodSync, chownSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Bench, type Outcome, type RunOptions } from '../test/support/bench.ts';
import { Container } from '../test/support/container.ts';
import { type Identity, ordinaryUser } from '../test/support/identity.ts';
import { type Place, podmanPlace, unitPlace } from '../test/support/places.ts';
import { projectRoot } from '../test/support/program.ts';
import { medianOf } from './measure.ts';

/** With what these need, thirty packages, among them such as set owners, make users and have scripts. */
const PACKAGES = 'cron dbus less man-db openssh-client rsync';
/** What examples/web and the image for CI install. */
const MORE_PACKAGES = 'python3 ca-certificates git libcap2-bin uidmap';
/** What of a built checkout ci/image/Dockerfile copies. */
const IMAGE_FILES = [
  'LICENSE', 'package.json', 'bin', 'ci', 'dist', 'native/seccomp', 'node_modules/koffi', 'node_modules/@koromix', `node_modules/node-linux-${process.arch}`,
]; // oxfmt-ignore
const INSTALL = `FROM debian:12-slim
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update && apt-get install -y --no-install-recommends ${PACKAGES}
`;

/** Where a build is tried, and what it is there. */
interface Row {
  readonly name: string;
  readonly place: Place;
  /** Whom rung 1 is for on the machine: root, or a user with subordinate ids. */
  readonly who: Identity;
  readonly context: string;
  readonly options?: readonly string[];
  /** The most that it is to take, in times of rung 1. */
  readonly goal: number;
  /** What `tsbuild` is called there, and what is there of the machine's files. */
  readonly tsbuild?: string;
  readonly seen?: (path: string) => string;
}

/** Makes the archive of the base image: Debian, with an apt repository in it that its sources name. */
async function makeBase(bench: Bench, path: string): Promise<void> {
  const download = `chroot "$1" apt-get install -y --download-only --no-install-recommends ${PACKAGES} ${MORE_PACKAGES} >&2`;
  const index = `mkdir -p "$1/srv/packages" && mv "$1"/var/cache/apt/archives/*.deb "$1/srv/packages" && cd "$1/srv/packages" &&
    dpkg-scanpackages . > Packages 2> /dev/null && echo "deb [trusted=yes] file:/srv/packages ./" > "$1/etc/apt/sources.list"`;
  const hooks = [`--customize-hook=${download}`, `--customize-hook=${index}`];
  await bench.tool(
    ['mmdebstrap', '--variant=minbase', '--quiet', '--dpkgopt=force-unsafe-io', ...hooks, 'bookworm', path],
    { timeoutMs: 600_000 },
  );
}

/** What a build took, in seconds. */
interface Took {
  readonly wall: number;
  readonly processor: number;
}

/** One build with nothing cached, in a store that is thrown away. */
async function build(row: Row, base: string, place: Place, options: readonly string[] = []): Promise<Took> {
  const { context, tsbuild, seen = (path) => path } = row;
  const script = `set -e
tsbuild() { ${tsbuild} "$@"; }
export TSBUILD_ROOT=${place.dir}/store HOME=/nonexistent
tsbuild import ${seen(base)} -t debian:12-slim > /dev/null
sync
began=$(date +%s%N)
(tsbuild build -q -t made:1 ${options.join(' ')} ${seen(context)} > /dev/null 2> log && times) || { cat log >&2; exit 1; }
echo took $((($(date +%s%N) - began) / 1000000))
tsbuild prune --all --images --force > /dev/null
rm -rf "$TSBUILD_ROOT" log`;
  const { code, out, err } = await place.run(['sh', '-c', script], { timeoutMs: 600_000 });
  // What `times` says of the shell, then of its children, and the time that has passed.
  const took = /\n(\d+)m([\d.]+)s (\d+)m([\d.]+)s\ntook (\d+)$/m.exec(out)?.slice(1).map(Number);
  if (code !== 0 || took === undefined) throw new Error(`The build in "${row.name}" ended with ${code}: ${err}${out}`);
  const [userMinutes = 0, user = 0, systemMinutes = 0, system = 0, ms = 0] = took;
  return { wall: ms / 1000, processor: 60 * (userMinutes + systemMinutes) + user + system };
}

/** The machine itself. */
function machine(bench: Bench, who: Identity): Place {
  const dir = bench.path(`machine-${who.name}`);
  if (!existsSync(dir)) {
    bench.write(`machine-${who.name}`, {});
    chownSync(dir, who.uid, who.gid);
  }
  return {
    dir,
    run: (command, options = {}) =>
      bench.start([...who.prefix, ...command], { ...options, asSelf: true, cwd: dir }).ended,
  };
}

/** As docker starts containers: its filter of system calls, its capabilities, parts of /proc hidden. */
function dockerPlace(bench: Bench): Place {
  const container = new Container(bench, 'docker', { seccomp: 'docker', user: 0 });
  const run = (command: readonly string[], options: RunOptions = {}): Promise<Outcome> =>
    container.run(['sh', '-c', 'mkdir -p /var/tmp/place && cd /var/tmp/place && exec "$@"', 'sh', ...command], options);
  return { dir: '/var/tmp/place', run };
}

/** A container of `tsbuild run` with the image for CI, which is built for it; the machine's files that a build needs are at /in. */
async function imagePlace(bench: Bench, base: string): Promise<Place> {
  const long = { timeoutMs: 600_000 };
  await bench.ok(['import', base, '-t', 'debian:12-slim'], long);
  // A copy: a checkout that is worked in, or whose files get further names, changes while it is read.
  const checkout = bench.write('checkout', {});
  await bench.tool(['cp', '-a', '--parents', ...IMAGE_FILES, checkout], { cwd: projectRoot });
  await bench.ok(['build', '-q', '-f', join(checkout, 'ci/image/Dockerfile'), '-t', 'tsbuild', checkout], long);
  const words = ['run', '--rm', '--privileged', '--network=none', '-v', `${bench.path('in')}:/in:ro`, 'tsbuild'];
  const dir = '/home/build/.local/share/place';
  const enter = `mkdir -p ${dir} && cd ${dir} && exec "$@"`;
  return {
    dir,
    run: (command, options = {}) =>
      bench.tsbuildStart([...words, 'sh', '-c', enter, 'sh', ...command], { ...options, ...long }).ended,
  };
}

/** The rows that are wanted, by their names. */
async function rowsOf(bench: Bench, base: string): Promise<Readonly<Record<string, () => Row | Promise<Row>>>> {
  const user = await ordinaryUser();
  const web = join(bench.path('in'), 'web');
  const install = bench.write('in/install', { Dockerfile: INSTALL });
  const tsbuild = bench.command([])[0] ?? '';
  const unit = (who: Identity): Place => {
    const state = bench.write(`state-${who.name}`, {});
    chownSync(state, who.uid, who.gid);
    return unitPlace(bench, state, who);
  };
  const usual = { who: bench.who, context: web, tsbuild, goal: 2 };
  const rung = (who: Identity, isolation: string): Row => ({
    ...usual,
    name: `${isolation}, thirty packages`,
    who,
    place: machine(bench, who),
    context: install,
    options: [`--isolation=${isolation}`],
    goal: 1.3,
  });
  return {
    podman: () => ({ ...usual, name: 'podman run, as root', place: podmanPlace(bench, '0:0') }),
    'podman-user': () => ({
      ...usual,
      name: 'podman run, as an id that /etc/passwd does not know',
      place: podmanPlace(bench, '1000680000:0'),
    }),
    docker: () => ({ ...usual, name: "docker's filter, capabilities and masked /proc", place: dockerPlace(bench) }),
    image: async () => ({
      ...usual,
      name: 'tsbuild run --privileged of the image for CI',
      place: await imagePlace(bench, base),
      tsbuild: 'command tsbuild',
      seen: (path) => path.replace(bench.path('in'), '/in'),
    }),
    unit: () => ({ ...usual, name: "systemd's unit, as root", place: unit(bench.who) }),
    'unit-user': () => ({ ...usual, name: "systemd's unit, as a user", who: user, place: unit(user) }),
    copy: () => rung(bench.who, 'copy'),
    'single-id': () => rung(user, 'single-id'),
    chroot: () => rung(bench.who, 'chroot'),
  };
}

const { values, positionals } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, base: { type: 'string' } },
  allowPositionals: true,
});
await using bench = new Bench({ name: 'root', uid: 0, gid: 0, prefix: [] });
// What is in it is for places with other users.
chmodSync(bench.dir, 0o755);
bench.write('in', {});
await bench.tool(['cp', '-r', join(projectRoot, 'examples/web'), join(bench.path('in'), 'web')]);
const archive = values.base ?? bench.path('base.tar');
if (!existsSync(archive)) await makeBase(bench, archive);
const base = join(bench.path('in'), 'base.tar');
await bench.tool(['cp', '--reflink=auto', archive, base]);

const rows = await rowsOf(bench, base);
const unknown = positionals.filter((name) => !(name in rows));
if (unknown.length > 0) throw new Error(`There is no ${unknown.join(', ')}: ${Object.keys(rows).join(', ')}`);
console.log(
  '| where | there, s | rung 1, s | ratio | of processors | goal |\n| --- | ---: | ---: | ---: | ---: | ---: |',
);
for (const [name, make] of Object.entries(rows)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const row = await make();
  const here = machine(bench, row.who);
  const onMachine = (): Promise<Took> =>
    build({ ...row, tsbuild: bench.command([])[0] ?? '', seen: (path) => path }, base, here);
  const inPlace = (): Promise<Took> => build(row, base, row.place, row.options);
  const pairs: { readonly there: Took; readonly usual: Took }[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    // Whoever comes second may find more in memory, and less room to write.
    const before = round % 2 === 0 ? await onMachine() : undefined;
    const there = await inPlace();
    pairs.push({ there, usual: before ?? (await onMachine()) });
  }
  const cells = [
    medianOf(pairs.map(({ there }) => there.wall)).toFixed(1),
    medianOf(pairs.map(({ usual }) => usual.wall)).toFixed(1),
    medianOf(pairs.map(({ there, usual }) => there.wall / usual.wall)).toFixed(2),
    medianOf(pairs.map(({ there, usual }) => there.processor / usual.processor)).toFixed(2),
  ];
  console.log(`| ${[row.name, ...cells, row.goal].join(' | ')} |`);
}
