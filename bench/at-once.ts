/** Fifty containers with health checks and published ports, all started at once: how long until all are healthy, and what they take. */
import { spawn, spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { memoryOf, processes } from './memory.ts';
import type { ThroughputBench } from './throughput.ts';

const COUNT = 50;
const MOST_MS = 60_000;
const MOST_MB = 1000;

/** What containers consist of: supervisors and networks, what connects these, and the programs. What they share is counted once (PSS). */
const OWN = /tsbuild-helper|pasta|slirp4netns|^sleep 1000/;

type AtOnceBench = Pick<ThroughputBench, 'work' | 'env' | 'ours'>;

/** Prints the rows: in one network that was made for them, and as they come with `-p` alone. */
export async function showAtOnce(bench: AtOnceBench): Promise<void> {
  const [program = '', ...first] = bench.ours;
  const network = (verb: string): unknown =>
    spawnSync(program, [...first, 'network', verb, 'at-once'], { env: bench.env, cwd: bench.work });
  network('create');
  await showOne(bench, 'in one network', ['--network', 'at-once']);
  network('rm');
  await showOne(bench, 'with -p alone', []);
}

async function showOne({ work, env, ours }: AtOnceBench, how: string, options: readonly string[]): Promise<void> {
  const [program = '', ...first] = ours;
  const names = Array.from({ length: COUNT }, (_, at) => `at-once-${at}`);
  const say = (...args: readonly string[]): string =>
    spawnSync(program, [...first, ...args], { env, cwd: work, encoding: 'utf8' }).stdout.trim();
  const health = ['--health-cmd', 'true', '--health-interval', '1s', '--health-start-interval', '1s'];
  const before = new Set(processes());
  const begun = performance.now();
  const codes = await Promise.all(
    names.map((name) => {
      const words = ['run', '-d', '--name', name, ...options, '-p', '127.0.0.1::80', ...health];
      const child = spawn(program, [...first, ...words, 'base:1', 'sleep', '1000'], {
        env,
        cwd: work,
        stdio: 'ignore',
      });
      return new Promise<number | null>((resolve) => child.once('close', resolve));
    }),
  );
  const started = performance.now() - begun;
  let healthy = 0;
  while (healthy < COUNT && performance.now() - begun < MOST_MS) {
    healthy = say('ps', '-q', '--filter', 'health=healthy', '--filter', 'name=at-once-')
      .split('\n')
      .filter(Boolean).length;
    await sleep(100);
  }
  const all = performance.now() - begun;
  const megabytes = memoryOf(OWN, 'Pss', before) / 1024;
  console.log(
    `${COUNT} containers at once, ${how}: ${codes.filter((code) => code === 0).length} started in ${(started / 1000).toFixed(1)} s, ` +
      `${healthy} healthy after ${(all / 1000).toFixed(1)} s, ${megabytes.toFixed(0)} MB in all  ` +
      `goal all, ${MOST_MB} MB: ${healthy === COUNT && megabytes < MOST_MB ? 'met' : 'MISSED'}`,
  );
  say('rm', '-f', ...names);
}
