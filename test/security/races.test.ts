import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { everyone, runScenario } from '../sandbox/support/run-as.ts';
import type { RaceResult } from './scenarios.ts';

describe.each(everyone)('steps that exchange files beneath mounts of others (%s)', (who) => {
  let dir: string;
  let program: string;
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'tsbuild-probe-'));
    chmodSync(dir, 0o755);
    program = join(dir, 'probe');
    execFileSync('cc', ['-static', '-O1', '-o', program, fileURLToPath(new URL('../native/probe.c', import.meta.url))]);
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const run = (scenario: string, count: number): Promise<RaceResult> => runScenario(who, scenario, { program, count });

  test('the source of a mount is looked up beneath the cache, and stays what was found (MNT-03)', async () => {
    const { seen, untouched } = await run('swappedSource', 20);
    expect(untouched).toBe(true);
    // Both were met, and nothing else.
    expect(Object.keys(seen).toSorted()).toEqual(['inside', 'refused']);
  });

  test('a stage is the same for every step, whatever one does to its view of it (MNT-04)', async () => {
    const { seen, untouched } = await run('swappedStage', 10);
    expect(untouched).toBe(true);
    expect(Object.keys(seen)).toEqual(['inside']);
  });

  test('the target of a mount stays in the root and out of /proc (MNT-08, MNT-18)', async () => {
    const { seen, untouched, settings } = await run('swappedTarget', 15);
    expect(untouched).toBe(true);
    expect(settings[1]).toBe(settings[0]);
    expect(Object.keys(seen).toSorted()).toEqual(['0\n', 'refused']);
  });
});
