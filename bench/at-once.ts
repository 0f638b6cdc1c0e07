/** Fifty containers with health checks and published ports in one network, all started at once: how long until all are healthy, and what they take. */
import { spawn, spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { memoryOf, processes } from './memory.ts';
import type { ThroughputBench } from './throughput.ts';

const COUNT = 50;
const MOST_MS = 60_000;

/** What containers consist of: supervisors and networks, what connects these, and the programs. What they share is counted once (PSS). */
const OWN = /tsbuild-helper|pasta|slirp4netns|^sleep 1000/;

/** Prints the row. */
export async function showAtOnce({ work, env, ours }: Pick<ThroughputBench, 'work' | 'env' | 'ours'>): Promise<void> {
  const [program = '', ...first] = ours;
  const names = Array.from({ length: COUNT }, (_, at) => `at-once-${at}`);
  const say = (...args: readonly string[]): string =>
    spawnSync(program, [...first, ...args], { env, cwd: work, encoding: 'utf8' }).stdout.trim();
  const health = ['--health-cmd', 'true', '--health-interval', '1s', '--health-start-interval', '1s'];
  const before = new Set(processes());
  say('network', 'create', 'at-once');
  const begun = performance.now();
  const codes = await Promise.all(
    names.map((name) => {
      const words = ['run', '-d', '--name', name, '--network', 'at-once', '-p', '127.0.0.1::80', ...health];
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
    healthy = say('ps', '-q', '--filter', 'health=healthy', '--filter', 'network=at-once')
      .split('\n')
      .filter(Boolean).length;
    await sleep(100);
  }
  const all = performance.now() - begun;
  console.log(
    `${COUNT} containers at once: ${codes.filter((code) => code === 0).length} started in ${(started / 1000).toFixed(1)} s, ` +
      `${healthy} healthy after ${(all / 1000).toFixed(1)} s, ${(memoryOf(OWN, 'Pss', before) / 1024).toFixed(0)} MB in all`,
  );
  say('rm', '-f', ...names);
  say('network', 'rm', 'at-once');
}
