/**
 * Prints what containers cost beside podman, as whoever calls it (an ordinary user is what the goals are for):
 *
 *   node bench/containers.ts [ROUNDS]
 *
 * `run --rm` of a static program on the machine's network, `exec`, `stop` of a container that ignores SIGTERM, what goes through networks and
 * published ports (throughput.ts), and fifty containers at once (at-once.ts). Both take turns, and the medians are shown. podman needs XDG_RUNTIME_DIR; without podman there is no column
 * of it, nor is there for networks, which it has others of.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { baseImageTar } from '../test/support/base-image.ts';
import { showAtOnce } from './at-once.ts';
import { memoryOf, processes } from './memory.ts';
import { has, medianOf } from './measure.ts';
import { showThroughput } from './throughput.ts';

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

/** Runs a command, which must succeed. @returns milliseconds */
function run(command: readonly string[], input?: Uint8Array): number {
  const [program = '', ...args] = command;
  const begun = performance.now();
  const { status, stderr } = spawnSync(program, args, {
    env,
    cwd: work,
    ...(input ? { input } : {}),
    encoding: 'utf8',
  });
  const ms = performance.now() - begun;
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}: ${stderr}`);
  return ms;
}

const everyone = has('podman') ? [ours, theirs] : [ours];
const service = ['base:1', 'sh', '-c', "trap '' TERM; while :; do sleep 0.1; done"];
const rows: readonly (readonly [
  name: string,
  command: readonly string[],
  before?: readonly string[],
  after?: readonly string[],
])[] = [
  ['run --rm', ['run', '--rm', '--network', 'host', 'base:1', '/bin/true']],
  ['run --rm --name', ['run', '--rm', '--network', 'host', '--name', 'one', 'base:1', '/bin/true']],
  [
    'run -d',
    ['run', '-d', '--network', 'host', '--name', 'back', 'base:1', 'sleep', '1000'],
    ['rm', '-f', '-t', '0', 'back'],
  ],
  ['exec', ['exec', 'service', '/bin/true']],
  ['stop -t 1, SIGTERM ignored', ['stop', '-t', '1', 'service'], ['start', 'service']],
];

try {
  run([...ours, 'import', '-', '-t', 'base:1'], baseImageTar());
  if (everyone.includes(theirs)) run([...theirs, 'import', '-', 'base:1'], baseImageTar());
  const before = new Set(processes());
  for (const program of everyone) run([...program, 'run', '-d', '--network', 'host', '--name', 'service', ...service]);
  console.log(
    `memory of the supervising processes: tsbuild ${memoryOf(/tsbuild-helper.* contain $/, 'VmRSS', before)} kB, podman ${memoryOf(/^\S*conmon /, 'VmRSS', before)} kB`,
  );
  for (const [name, command, after] of rows) {
    const times = everyone.map((): number[] => []);
    for (let round = 0; round < rounds; round++)
      for (const [at, program] of everyone.entries()) {
        times[at]?.push(run([...program, ...command]));
        if (after !== undefined)
          run([...program, ...(program === ours ? after.filter((word) => word !== '-t' && word !== '0') : after)]);
      }
    const [own = 0, other] = times.map((list) => medianOf(list));
    console.log(
      `${name.padEnd(28)} ${own.toFixed(0).padStart(6)} ms${other === undefined ? '' : `  podman ${other.toFixed(0).padStart(6)} ms  ${(own / other).toFixed(2)}`}`,
    );
  }
  for (const [name, network] of [
    ['run --rm -p, own network', ['--network', 'private', '-p', '127.0.0.1:0:80']],
    ['run --rm, shared network', ['--network', 'bridge']],
  ] as const) {
    const times = Array.from({ length: rounds }, () =>
      run([...ours, 'run', '--rm', ...network, 'base:1', '/bin/true']),
    );
    console.log(`${name.padEnd(28)} ${medianOf(times).toFixed(0).padStart(6)} ms`);
  }
  await showThroughput({ work, env, ours, rounds: Math.min(rounds, 5), median: medianOf });
  await showAtOnce({ work, env, ours });
} finally {
  // One by one: podman removes none when one is not there.
  for (const [program = '', ...first] of everyone)
    for (const name of ['service', 'back', 'one', 'serves'])
      spawnSync(program, [...first, 'rm', '-f', name], { env, cwd: work });
  if (everyone.includes(theirs)) spawnSync('podman', ['unshare', 'rm', '-rf', join(work, 'podman')], { env });
  spawnSync(ours[0] ?? '', ['prune', '-a', '-f', '--images'], { env });
  rmSync(work, { recursive: true, force: true });
}
