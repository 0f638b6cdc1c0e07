/**
 * Prints what containers cost beside podman, as whoever calls it (an ordinary user is what the goals are for):
 *
 *   node bench/containers.ts [ROUNDS]
 *
 * `run --rm` of a static program on the machine's network and with a network and a published port of its own, also from a store of 1,000 images,
 * `exec`, `stop` of a container that ignores SIGTERM, what a supervisor takes at most, what goes through networks and published ports
 * (throughput.ts), and fifty containers at once (at-once.ts). All take turns, and the medians are shown. podman needs XDG_RUNTIME_DIR; without
 * podman, or where it can do no such thing here, there is no column of it.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { baseImageTar } from '../test/support/base-image.ts';
import { showAtOnce } from './at-once.ts';
import { manyImages } from './many-images.ts';
import { has, medianOf } from './measure.ts';
import { memoryOf, processes } from './memory.ts';
import { showThroughput } from './throughput.ts';

const FEW = 10;
const MANY = 1000;

const rounds = Number(process.argv[2] ?? 15);
const work = mkdtempSync(join(tmpdir(), 'tsbuild-bench-'));
const ours = [fileURLToPath(new URL('../bin/tsbuild', import.meta.url))];
const theirs = [
  'podman',
  '--root',
  join(work, 'podman'),
  '--runroot',
  join(work, 'podman-run'),
  '--cgroup-manager',
  'cgroupfs',
  ...(has('runc') ? ['--runtime', 'runc'] : []),
];
const env = { ...process.env, TSBUILD_ROOT: join(work, 'store'), HOME: work };

/** Who takes turns: a command line, and what is else in its environment. */
interface Contender {
  readonly name: string;
  readonly program: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const tsbuild: Contender = { name: 'tsbuild', program: ours };
const podman: Contender = { name: 'podman', program: theirs };
/** tsbuild with a store of many images. */
const large: Contender = { name: `${MANY} images`, program: ours, env: { TSBUILD_ROOT: join(work, 'large') } };

/** Runs a command, which must succeed. @returns milliseconds */
function run(who: Contender, args: readonly string[], input?: Uint8Array): number {
  const [program = '', ...first] = who.program;
  const begun = performance.now();
  const { status, stderr } = spawnSync(program, [...first, ...args], {
    env: { ...env, ...who.env },
    cwd: work,
    ...(input ? { input } : {}),
    encoding: 'utf8',
  });
  const ms = performance.now() - begun;
  if (status !== 0) throw new Error(`${[...who.program, ...args].join(' ')} ended with ${status}: ${stderr}`);
  return ms;
}

/** A line of the table. */
interface Row {
  readonly name: string;
  readonly command: readonly string[];
  /** What makes a round's container go, or come, again. */
  readonly after?: readonly string[];
  /** Takes turns, where it can do that here. */
  readonly beside?: Contender;
  readonly goal?: string;
  /** @param other what the other one took; undefined without one */
  readonly met?: (own: number, other: number | undefined) => boolean;
}

/** At most so many ms, and such a part of podman's. */
function atMost(ms: number, part?: number): Pick<Row, 'goal' | 'met'> {
  return {
    goal: `${ms} ms${part === undefined ? '' : `, ${part} of podman`}`,
    met: (own, other) => own <= ms && (part === undefined || other === undefined || own <= other * part),
  };
}

const rows: readonly Row[] = [
  {
    name: 'run --rm',
    command: ['run', '--rm', '--network', 'host', 'base:1', '/bin/true'],
    beside: podman,
    ...atMost(70, 0.35),
  },
  {
    name: 'run --rm --name',
    command: ['run', '--rm', '--network', 'host', '--name', 'one', 'base:1', '/bin/true'],
    beside: podman,
  },
  {
    name: 'run --rm -p, own network',
    command: ['run', '--rm', '-p', '127.0.0.1::80', 'base:1', '/bin/true'],
    beside: podman,
    ...atMost(110, 0.4),
  },
  {
    name: 'run --rm, shared network',
    command: ['run', '--rm', '--network', 'bridge', 'base:1', '/bin/true'],
  },
  {
    name: `run --rm, ${FEW} images`,
    command: ['run', '--rm', '--network', 'host', 'many:5', '/bin/true'],
    beside: large,
    goal: `${MANY} within 10 %`,
    met: (own, other) => other === undefined || other <= own * 1.1,
  },
  {
    name: 'run -d',
    command: ['run', '-d', '--network', 'host', '--name', 'back', 'base:1', 'sleep', '1000'],
    after: ['rm', '-f', 'back'],
    beside: podman,
  },
  { name: 'exec', command: ['exec', 'service', '/bin/true'], beside: podman, ...atMost(60) },
  {
    name: 'stop -t 1, SIGTERM ignored',
    command: ['stop', '-t', '1', 'service'],
    after: ['start', 'service'],
    beside: podman,
    ...atMost(1200),
  },
];

/** Whether it can do this here at all: an ordinary user's podman needs a device for networks. */
function can(who: Contender, { command, after }: Row): boolean {
  if (!has(who.program[0] ?? '')) return false;
  try {
    run(who, command);
    if (after !== undefined) undo(who, after);
    return true;
  } catch {
    return false;
  }
}

/** podman waits for what it kills unless it is told. */
function undo(who: Contender, after: readonly string[]): void {
  run(who, who === podman && after[0] === 'rm' ? [...after, '-t', '0'] : after);
}

function show(row: Row): void {
  const { name, command, after, beside, goal, met } = row;
  const other = beside !== undefined && can(beside, row) ? beside : undefined;
  const contenders = other === undefined ? [tsbuild] : [tsbuild, other];
  const times = contenders.map((): number[] => []);
  for (let round = 0; round < rounds; round++)
    for (const [at, who] of contenders.entries()) {
      times[at]?.push(run(who, command));
      if (after !== undefined) undo(who, after);
    }
  const [own = 0, others] = times.map((list) => medianOf(list));
  console.log(
    name.padEnd(28) +
      `${own.toFixed(0).padStart(6)} ms` +
      (others === undefined
        ? ''
        : `  ${other?.name} ${others.toFixed(0).padStart(6)} ms  ${(own / others).toFixed(2)}`) +
      (goal === undefined ? '' : `  goal ${goal}: ${met?.(own, others) ? 'met' : 'MISSED'}`),
  );
}

const SERVICE = ['base:1', 'sh', '-c', "seq 100000; trap '' TERM; while :; do sleep 0.1; done"];
const MOST_KB = 15_000;

try {
  const base = baseImageTar();
  run(tsbuild, ['import', '-', '-t', 'base:1'], base);
  run(tsbuild, ['import', '-'], manyImages(FEW - 1, base));
  run(large, ['import', '-'], manyImages(MANY, base));
  if (has('podman')) run(podman, ['import', '-', 'base:1'], base);
  const before = new Set(processes());
  const everyone = has('podman') ? [tsbuild, podman] : [tsbuild];
  for (const who of everyone) run(who, ['run', '-d', '--network', 'host', '--name', 'service', ...SERVICE]);
  for (const row of rows) show(row);
  const most = memoryOf(/tsbuild-helper.* contain $/, 'VmHWM', before);
  console.log(
    `a supervisor at most: tsbuild ${most} kB, podman ${memoryOf(/^\S*conmon /, 'VmHWM', before)} kB  goal ${MOST_KB} kB: ${most <= MOST_KB ? 'met' : 'MISSED'}`,
  );
  await showThroughput({ work, env, ours, rounds: Math.min(rounds, 5), median: medianOf });
  await showAtOnce({ work, env, ours });
} finally {
  // One by one: podman removes none when one is not there.
  for (const { program } of has('podman') ? [tsbuild, podman] : [tsbuild])
    for (const name of ['service', 'back', 'one', 'serves'])
      spawnSync(program[0] ?? '', [...program.slice(1), 'rm', '-f', name], { env, cwd: work });
  if (has('podman')) spawnSync('podman', ['unshare', 'rm', '-rf', join(work, 'podman')], { env });
  for (const who of [tsbuild, large])
    spawnSync(who.program[0] ?? '', ['prune', '-a', '-f', '--images'], { env: { ...env, ...who.env } });
  rmSync(work, { recursive: true, force: true });
}
