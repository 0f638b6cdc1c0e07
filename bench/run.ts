/**
 * Prints the table of build times: `npm run bench [-- [options] WORD…]` measures the rows with one of the words in their names, or all.
 *
 *   --against DIR   another checkout, built, that takes turns with this one in every round
 *   --buildx        `docker buildx build` of a daemon that is running, warm, for the rows that it can be compared in
 *   --rounds N      so many rounds for every row
 *   --budget        ends with 1 when a goal is missed twice
 *   --json          the numbers of every round instead of the table
 *
 * Runs Debian's buildah on the same work when it is installed (with runc where it is there, as root or rootless as the caller is).
 * Every row is measured several times, all builders in turn, and the median is shown: the machine may be shared. All find the context in
 * memory and the disk idle, else it would depend on the machine and on who went first.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeRootfs } from './data.ts';
import { has, type Measure, measure, median, settle } from './measure.ts';
import { Program } from './program.ts';
import { context, type Others, type Row } from './row.ts';
import { cachedRows } from './rows/cached.ts';
import { copyRows } from './rows/copy.ts';
import { lowerRows } from './rows/lower.ts';
import { BenchRegistry } from './registry.ts';
import { pruneRows } from './rows/prune.ts';
import { pullRows } from './rows/pull.ts';
import { pushRows } from './rows/push.ts';
import { mountRows } from './rows/mounts.ts';
import { sharedRows } from './rows/shared.ts';
import { stepRows } from './rows/steps.ts';
import { formatTable, OTHERS, type Results } from './table.ts';

const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: {
    against: { type: 'string' },
    buildx: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    json: { type: 'boolean', default: false },
    budget: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (options.help) {
  // What stands at the top of this file.
  const [text = ''] = /(?<=\/\*\*\n)[^]*?(?= \*\/)/.exec(readFileSync(fileURLToPath(import.meta.url), 'utf8')) ?? [];
  process.stdout.write(text.replaceAll(/^ \* ?/gm, ''));
  process.exit();
}
const root = fileURLToPath(new URL('..', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'tsbuild-bench-'));
const ours = new Program(root, work, 'ours');
const against = options.against === undefined ? undefined : new Program(resolve(options.against), work, 'against');
const programs = against === undefined ? [ours] : [ours, against];
const buildah = has('buildah') && against === undefined ? findBuildah() : undefined;
const baseLayout = join(work, 'bench-base');

function findBuildah(): NonNullable<Others['buildah']> & { readonly command: readonly string[] } {
  const command = ['buildah', '--root', join(work, 'containers'), '--runroot', join(work, 'run')];
  const runtime = has('runc') ? ['--runtime', 'runc'] : [];
  return {
    command,
    bud: (...args) => [...command, 'bud', ...runtime, '-q', ...args],
    push: (name, file) => [...command, 'push', '-q', name, `oci-archive:${file}`],
  };
}

function buildx(args: readonly string[]): readonly string[] {
  const base = `localhost/bench-base:1=oci-layout://${baseLayout}`;
  const output = ['--output', `type=oci,dest=${join(work, 'buildkit.tar')}`];
  return [
    'docker',
    'buildx',
    'build',
    '--progress',
    'quiet',
    '--provenance=false',
    // The steps use no network, and not every daemon has a bridge.
    '--network',
    'host',
    '--build-context',
    base,
    ...output,
    ...args,
  ];
}

/** The root file system of the base image, as an archive. */
const baseTar = makeRootfs(work);

/** Rows that empty stores leave none of it. */
function importInto(program: Program): void {
  program.run([program.bin, 'import', baseTar, '-t', 'localhost/bench-base:1']);
}

function importBase(): void {
  for (const program of programs) importInto(program);
  const folder = context(work, 'base', 'FROM scratch\nADD rootfs.tar /\n');
  writeFileSync(join(folder, 'rootfs.tar'), readFileSync(baseTar));
  if (buildah) measure(work, buildah.bud('-t', 'localhost/bench-base:1', folder));
  if (options.buildx) {
    const as = context(work, 'base-again', 'FROM localhost/bench-base:1\n');
    ours.run(ours.build('-o', `type=oci,tar=false,dest=${baseLayout}`, as));
  }
}

function measureRow(row: Row): Results {
  const results: Record<keyof Results, Measure[]> = {
    tsbuild: [],
    against: [],
    beside: [],
    buildah: [],
    buildkit: [],
    skopeo: [],
  };
  // Once unseen, so that all is there that a later build finds.
  for (const program of programs) {
    row.before?.(program);
    program.run(row.tsbuild(program));
    if (row.before === undefined) program.run(row.tsbuild(program));
  }
  if (options.buildx && row.buildkit) measure(work, buildx(row.buildkit));
  const rounds = options.rounds === undefined ? row.rounds : Number(options.rounds);
  for (let round = 0; round < rounds; round++) {
    for (const program of programs) {
      row.before?.(program);
      settle(row.folder);
      results[program === ours ? 'tsbuild' : 'against'].push(program.run(row.tsbuild(program), row.until));
    }
    if (row.beside) {
      row.before?.(ours);
      settle(row.folder);
      results.beside.push(ours.run(row.beside(ours), row.until));
    }
    if (buildah && row.buildah) {
      settle(row.folder);
      const parts = row.buildah(buildah).map((command) => measure(work, command));
      const wall = parts.reduce((sum, part) => sum + part.wall, 0);
      results.buildah.push({ wall, peak: Math.max(...parts.map(({ peak }) => peak)) });
    }
    if (row.skopeo && against === undefined) {
      row.beforeSkopeo?.();
      settle(row.folder);
      results.skopeo.push(measure(work, row.skopeo()));
    }
    if (options.buildx && row.buildkit) {
      settle(row.folder);
      results.buildkit.push(measure(work, buildx(row.buildkit)));
    }
  }
  return results;
}

function main(): void {
  importBase();
  const floor = median(Array.from({ length: 9 }, () => measure(work, [process.execPath, '-e', '0']))).wall;
  const registry = new BenchRegistry(work);
  const rows = [
    ...cachedRows(work),
    ...stepRows(work, root),
    ...copyRows(work),
    ...lowerRows(work),
    // Before those that empty the store, the base included.
    ...mountRows(work),
    ...pruneRows(work),
    ...pushRows(work, registry),
    ...pullRows(work, registry),
    ...sharedRows(work, registry, importInto),
  ].filter(({ name }) => wanted.length === 0 || wanted.some((word) => name.includes(word)));
  const measured = new Map<string, Results>();
  const others = new Map<string, Measure>();
  const verdicts = new Map<string, boolean>();
  const isMet = (row: Row, results: Results): boolean => {
    const measuredOthers = OTHERS.filter((who) => results[who].length > 0).map((who) => [who, median(results[who])]);
    return row.met(median(results.tsbuild), { floor, others, ...Object.fromEntries(measuredOthers) });
  };
  for (const row of rows) {
    row.prepare?.(programs);
    let results = measureRow(row);
    if (options.budget && !isMet(row, results)) results = measureRow(row);
    const met = isMet(row, results);
    if (options.budget && !met) process.exitCode = 1;
    verdicts.set(row.name, met);
    measured.set(row.name, results);
    others.set(row.name, median(results.tsbuild));
  }
  if (options.json) {
    const entries = rows.map(({ name, goal }) => ({ name, goal, met: verdicts.get(name), ...measured.get(name) }));
    console.log(JSON.stringify({ node: floor, rows: entries }, undefined, 2));
    return;
  }
  console.log(`node -e 0: ${floor.toFixed(0)} ms (median of 9)\n`);
  console.log(
    formatTable(
      rows.map((row) => ({ row, results: measured.get(row.name) as Results, met: verdicts.get(row.name) === true })),
    ),
  );
}

try {
  main();
} finally {
  if (buildah) spawnSync('buildah', [...buildah.command.slice(1), 'rmi', '-a', '-f']);
  for (const program of programs) program.remove();
  rmSync(work, { recursive: true, force: true });
}
