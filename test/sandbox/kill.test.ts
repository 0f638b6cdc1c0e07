import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { currentUser, findHelper, readPlanInputs, LoneRemover, requirePlan } from '../../src/sandbox/index.ts';
import { commandAs, driverPath, everyone } from './support/run-as.ts';
import { countProcesses, readProcesses } from './support/scenarios.ts';

/** From the top: what each process of a build is. Killing any of them must leave nothing of the step. */
const LEVELS = [
  'main process',
  'helper outside',
  'PID 1 of the namespace',
  'worker',
  'helper of the step',
  'the step',
] as const;

/** A second where nothing else runs. */
const SOON = { timeout: 60_000, interval: 20 };

let dir: string;
let program: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'tsbuild-kill-'));
  // What killed processes leave lies here, too.
  chmodSync(dir, 0o777);
  program = join(dir, 'probe');
  const source = fileURLToPath(new URL('../native/probe.c', import.meta.url));
  execFileSync('cc', ['-static', '-O1', '-o', program, source]);
});
afterAll(async () => {
  try {
    rmSync(dir, { recursive: true, force: true });
  } catch {
    // Files of subordinate ids.
    await new LoneRemover({ helperPath: findHelper(), plan: requirePlan(readPlanInputs(currentUser())) }).remove([dir]);
  }
});

describe.each(everyone)('kill -9 (%s)', (who) => {
  test.each(LEVELS.map((name, level) => ({ name, level })))('of the $name (REL-10)', async ({ level }) => {
    const marker = String(100_000 + Math.trunc(process.pid * 10 + level + (who === 'root' ? 0 : 5_000_000)));
    const [command = '', ...args] = commandAs(who, [
      process.execPath,
      driverPath,
      'linger',
      JSON.stringify({ marker, program }),
    ]);
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, TMPDIR: dir } });
    try {
      await new Promise((resolve) => child.stdout.once('data', resolve));
      const chain = descendants(child.pid ?? 0);
      expect(chain.length).toBeGreaterThanOrEqual(LEVELS.length);
      process.kill(chain[level] ?? 0, 'SIGKILL');
      await expect.poll(() => countProcesses(`sleep\0${marker}\0`), SOON).toBe(0);
      if (level < 4) {
        const left = (): readonly number[] => {
          const alive = readProcesses().map(({ pid }) => pid);
          return chain.slice(1).filter((pid) => alive.includes(pid));
        };
        await expect.poll(left, SOON).toEqual([]);
      }
    } finally {
      child.kill('SIGKILL');
    }
  });
});

/** The first child of each process, from `pid` down. */
function descendants(pid: number): number[] {
  const all = readProcesses();
  const chain = [pid];
  for (;;) {
    const next = all.find(({ parent }) => parent === chain.at(-1));
    if (!next) return chain;
    chain.push(next.pid);
  }
}
