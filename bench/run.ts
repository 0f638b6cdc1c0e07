/**
 * Prints the table of build times: `npm run bench [-- ROW…] [--budget]`. With `--budget` it ends with 1 when a goal is missed twice. Runs Debian's buildah on the same work when it is installed
 * (with runc where it is there, as root or rootless as the caller is) and compares.
 * Every row is measured several times, tsbuild and buildah in turn, and the median is shown: the machine may be shared. Both find the
 * context in memory and the disk idle, else it would depend on the machine and on who went first.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeContext, makeMixedFile, makeRootfs } from './data.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsbuild = join(root, 'bin/tsbuild');
const work = mkdtempSync(join(tmpdir(), 'tsbuild-bench-'));
const wanted = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const hasBudget = process.argv.includes('--budget');
const has = (command: string): boolean => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;
const buildah = has('buildah')
  ? ['buildah', '--root', join(work, 'containers'), '--runroot', join(work, 'run')]
  : undefined;
const runtime = has('runc') ? ['--runtime', 'runc'] : [];

interface Measure {
  /** Wall time in ms. */
  readonly wall: number;
  /** Largest resident set of any of its processes in kB. */
  readonly peak: number;
}

/** What an earlier command left to be written is written, and all files below a directory are in memory. */
function settle(folder: string): void {
  spawnSync('sync');
  spawnSync('sh', ['-c', 'find "$0" -type f -exec cat {} + > /dev/null', folder]);
}

/** Runs a command to its end and measures it; throws when it fails. */
function measure(command: readonly string[], env: Record<string, string> = {}): Measure {
  const report = join(work, 'time.txt');
  const [program = '', ...args] = has('/usr/bin/time')
    ? ['/usr/bin/time', '-f', '%M', '-o', report, ...command]
    : command;
  const start = performance.now();
  const done = spawnSync(program, args, {
    cwd: work,
    env: { ...process.env, TSBUILD_ROOT: join(work, 'store'), ...env },
    encoding: 'utf8',
  });
  const wall = performance.now() - start;
  if (done.status !== 0)
    throw new Error(`${command.join(' ')} ended with ${done.status ?? done.signal}\n${done.stdout}\n${done.stderr}`);
  let peak = 0;
  try {
    peak = Number(readFileSync(report, 'utf8').trim().split('\n').at(-1));
  } catch {
    // Without GNU time there is no peak to show.
  }
  return { wall, peak };
}

interface Row {
  readonly name: string;
  readonly rounds: number;
  /** The context. */
  readonly folder: string;
  /** Prepares one round, not measured. */
  readonly before?: () => void;
  readonly tsbuild: () => readonly string[];
  readonly buildah?: () => readonly (readonly string[])[];
  /** What the goal is, and whether the medians meet it. */
  readonly goal: string;
  readonly met: (ours: Measure, theirs: Measure | undefined, floor: number) => boolean;
}

const median = (values: readonly Measure[]): Measure => {
  const sorted = [...values].sort((a, b) => a.wall - b.wall);
  return {
    wall: sorted[Math.floor(sorted.length / 2)]?.wall ?? Number.NaN,
    peak: Math.max(...values.map((value) => value.peak)),
  };
};

const quiet = ['--progress', 'quiet'];
const bud = (...args: string[]): string[] => [...(buildah ?? []), 'bud', ...runtime, '-q', ...args];
const push = (name: string, file: string): string[] => [...(buildah ?? []), 'push', '-q', name, `oci-archive:${file}`];
const out = (name: string): string => join(work, `${name}.tar`);

function context(name: string, dockerfile: string): string {
  const folder = join(work, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'Dockerfile'), dockerfile);
  return folder;
}

function freshStore(): void {
  // Keeps the images (the base), drops every cached result.
  measure([tsbuild, 'prune', '--all', '--force']);
}

function rows(): Row[] {
  const ten = context(
    'ten',
    `FROM localhost/bench-base:1\n${['ENV A=1', 'WORKDIR /app', 'COPY d /app/d', 'RUN echo 1', 'RUN echo 2', 'RUN echo 3', 'LABEL b=c', 'RUN echo 4', 'RUN echo 5', 'CMD ["sh"]'].join('\n')}\n`,
  );
  makeContext(join(ten, 'd'), 2000, 1500);
  const twenty = context(
    'twenty',
    `FROM localhost/bench-base:1\n${Array.from({ length: 20 }, (_, i) => `RUN echo ${i}`).join('\n')}\n`,
  );
  const many = context('many', 'FROM scratch\nCOPY d /d\n');
  makeContext(join(many, 'd'), 20_000, 1500);
  const large = context('large', 'FROM scratch\nCOPY d /d\n');
  mkdirSync(join(large, 'd'));
  makeMixedFile(join(large, 'd', 'blob'), 190e6);
  const seconds = 3;
  const stages = ['a', 'b', 'c', 'd'];
  const four = context(
    'four',
    `${stages.map((name) => `FROM localhost/bench-base:1 AS ${name}\nRUN sleep ${seconds} && echo ${name} > /${name}\n`).join('')}FROM scratch\n${stages.map((name) => `COPY --from=${name} /${name} /\n`).join('')}`,
  );
  const lines = ['LABEL l$=v', 'RUN echo $', 'COPY a /a$', 'WORKDIR /w$'];
  const long = Array.from({ length: 2999 }, (_, i) => (lines[i % 4] ?? '').replace('$', String(i)));
  const lowered = context('lowered', ['FROM scratch', ...long, ''].join('\n'));
  const chain = Array.from(
    { length: 60 },
    (_, i) => `FROM scratch AS s${i}\nCOPY ${i > 0 ? `--from=s${i - 1} ` : ''}/a /a\nRUN echo ${i}\n`,
  );
  writeFileSync(join(lowered, 'chain'), chain.join(''));
  writeFileSync(join(lowered, 'one'), 'FROM scratch\nCOPY a /a\n');
  const llb = (file: string): string[] => [tsbuild, 'llb', '-f', join(lowered, file), lowered];
  let startUp = Number.NaN;
  let edits = 0;
  const touched = join(many, 'd', '000', 'f0.txt');
  const oursMany = (): string[] => [tsbuild, 'build', ...quiet, '-o', `type=oci,dest=${out('many')}`, many];
  let coldMany = Number.NaN;

  return [
    {
      name: 'cached rebuild, ten steps, 2,000 files',
      rounds: 9,
      folder: ten,
      tsbuild: () => [tsbuild, 'build', ...quiet, '-t', 'bench-ten', ten],
      buildah: () => [bud('--layers', '-t', 'bench-ten', ten)],
      goal: '<= 4 x node -e 0, <= 0.15 x buildah',
      met: (ours, theirs, floor) => ours.wall <= 4 * floor && (!theirs || ours.wall <= 0.15 * theirs.wall),
    },
    {
      name: 'twenty RUN echo, cold',
      rounds: 5,
      folder: twenty,
      before: freshStore,
      tsbuild: () => [tsbuild, 'build', ...quiet, '--no-cache', '-t', 'bench-twenty', twenty],
      buildah: () => [bud('--no-cache', '-t', 'bench-twenty', twenty)],
      goal: '<= 0.08 x buildah',
      met: (ours, theirs) => !theirs || ours.wall <= 0.08 * theirs.wall,
    },
    {
      name: 'COPY of 20,000 files to an OCI archive, cold',
      rounds: 7,
      folder: many,
      before: freshStore,
      tsbuild: oursMany,
      buildah: () => [bud('--no-cache', '-t', 'bench-many', many), push('bench-many', out('many-b'))],
      goal: '<= 0.12 x buildah',
      met: (ours, theirs) => {
        coldMany = ours.wall;
        return !theirs || ours.wall <= 0.12 * theirs.wall;
      },
    },
    {
      name: '… after touching one file',
      rounds: 3,
      folder: many,
      before: () => utimesSync(touched, new Date(), new Date()),
      tsbuild: oursMany,
      goal: '<= 0.5 x cold',
      met: (ours) => ours.wall <= 0.5 * coldMany,
    },
    {
      name: '… after editing one file',
      rounds: 3,
      folder: many,
      before: () => writeFileSync(touched, `edit ${edits++}\n`),
      tsbuild: oursMany,
      goal: '(for information)',
      met: () => true,
    },
    {
      name: '190 MB layer to an OCI archive, cold',
      rounds: 3,
      folder: large,
      before: freshStore,
      tsbuild: () => [tsbuild, 'build', ...quiet, '-o', `type=oci,dest=${out('large')}`, large],
      buildah: () => [bud('--no-cache', '-t', 'bench-large', large), push('bench-large', out('large-b'))],
      goal: '<= 0.5 x buildah, peak < 300 MB',
      met: (ours, theirs) => (!theirs || ours.wall <= 0.5 * theirs.wall) && ours.peak < 300_000,
    },
    {
      name: 'llb of one instruction: start-up',
      rounds: 9,
      folder: lowered,
      tsbuild: () => llb('one'),
      goal: '(for information)',
      met: (ours) => {
        startUp = ours.wall;
        return true;
      },
    },
    {
      name: 'llb of 3,000 instructions',
      rounds: 9,
      folder: lowered,
      tsbuild: () => llb('Dockerfile'),
      goal: '<= start-up + 150 ms',
      met: (ours) => ours.wall <= startUp + 150,
    },
    {
      name: 'llb of 60 stages',
      rounds: 9,
      folder: lowered,
      tsbuild: () => llb('chain'),
      goal: '<= start-up + 30 ms',
      met: (ours) => ours.wall <= startUp + 30,
    },
    {
      name: `four independent stages of ${seconds} s`,
      rounds: 2,
      folder: four,
      before: freshStore,
      tsbuild: () => [tsbuild, 'build', ...quiet, '--no-cache', '-t', 'bench-four', four],
      goal: `<= ${seconds} s + 15 %`,
      met: (ours) => ours.wall <= seconds * 1150,
    },
  ];
}

function importBase(): void {
  const tar = makeRootfs(work);
  measure([tsbuild, 'import', tar, '-t', 'localhost/bench-base:1']);
  if (!buildah) return;
  const folder = context('base', 'FROM scratch\nADD rootfs.tar /\n');
  writeFileSync(join(folder, 'rootfs.tar'), readFileSync(tar));
  measure(bud('-t', 'localhost/bench-base:1', folder));
}

/** Medians of all rounds of one row. */
function measureRow(row: Row): { readonly our: Measure; readonly their: Measure | undefined } {
  row.before?.();
  measure(row.tsbuild());
  const ours: Measure[] = [];
  const theirs: Measure[] = [];
  for (let round = 0; round < row.rounds; round++) {
    row.before?.();
    settle(row.folder);
    ours.push(measure(row.tsbuild()));
    if (buildah && row.buildah) {
      settle(row.folder);
      const parts = row.buildah().map((command) => measure(command));
      theirs.push({
        wall: parts.reduce((sum, part) => sum + part.wall, 0),
        peak: Math.max(...parts.map((part) => part.peak)),
      });
    }
  }
  return { our: median(ours), their: theirs.length > 0 ? median(theirs) : undefined };
}

function main(): void {
  importBase();
  const floor = median(Array.from({ length: 9 }, () => measure([process.execPath, '-e', '0']))).wall;
  console.log(
    `node -e 0: ${floor.toFixed(0)} ms (median of 9)${buildah ? '' : '; buildah is not installed, so there is nothing to compare with'}\n`,
  );
  const table = [['work', 'tsbuild ms', 'buildah ms', 'ratio', 'peak MB', 'goal', '']];
  for (const row of rows()) {
    if (wanted.length > 0 && !wanted.some((word) => row.name.includes(word))) continue;
    let { our, their } = measureRow(row);
    // Once more before anybody is told: the machine may have been busy.
    if (hasBudget && !row.met(our, their, floor)) ({ our, their } = measureRow(row));
    if (hasBudget && !row.met(our, their, floor)) process.exitCode = 1;
    table.push([
      row.name,
      our.wall.toFixed(0),
      their ? their.wall.toFixed(0) : '-',
      their ? (our.wall / their.wall).toFixed(3) : '-',
      our.peak > 0 ? (our.peak / 1000).toFixed(0) : '-',
      row.goal,
      row.met(our, their, floor) ? 'met' : 'MISSED',
    ]);
  }
  const widths = table[0]?.map((_, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0))) ?? [];
  for (const cells of table)
    console.log(
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
}

try {
  main();
} finally {
  if (buildah) spawnSync(buildah[0] ?? '', [...buildah.slice(1), 'rmi', '-a', '-f']);
  spawnSync(tsbuild, ['prune', '--all', '--images', '--force'], {
    env: { ...process.env, TSBUILD_ROOT: join(work, 'store') },
  });
  rmSync(work, { recursive: true, force: true });
}
