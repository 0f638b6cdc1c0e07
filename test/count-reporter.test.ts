import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from './support/tools.ts';
import { projectRoot } from './support/program.ts';

const say = (counts: string, status: number): string =>
  run('sh', join(projectRoot, 'scripts/say-counts.sh'), counts, String(status)).trim();

/** What `.ci/run` says of tests, of which each file is one text. */
async function lastLine(files: Readonly<Record<string, string>>): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-counts-'));
  try {
    symlinkSync(join(projectRoot, 'node_modules'), join(dir, 'node_modules'));
    mkdirSync(join(dir, 'test'));
    for (const [name, text] of Object.entries(files))
      writeFileSync(join(dir, `test/${name}.test.js`), `import { beforeAll, describe, test } from 'vitest';\n${text}`);
    const counts = join(dir, 'counts.json');
    writeFileSync(counts, '');
    const reporter = join(projectRoot, 'scripts/count-reporter.mjs');
    const vitest = join(projectRoot, 'node_modules/vitest/vitest.mjs');
    const child = spawn(process.execPath, [vitest, 'run', '--root', dir, `--reporter=${reporter}`], {
      env: { PATH: process.env['PATH'], HOME: dir, TEST_COUNTS: counts },
      stdio: 'ignore',
    });
    const [code] = (await once(child, 'close')) as [number];
    expect(readFileSync(counts, 'utf8')).not.toBe('');
    expect(code === 0).toBe(say(counts, 0).endsWith(' 0 failed'));
    return say(counts, code);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test('what CI says at last counts all that makes it fail, tests or not', async () => {
  expect(await lastLine({ good: `test('a', () => {}); test.skip('b', () => {});` })).toBe('1 passed, 0 failed');
  expect(
    await lastLine({
      good: `test('a', () => {});`,
      bad: `test('a', () => { throw new Error('no'); });`,
      broken: `throw new Error('no tests here');`,
      // Its test never starts.
      group: `describe('of', () => { beforeAll(() => { throw new Error('no'); }); test('a', () => {}); });`,
      outside: `test('a', async () => { void Promise.reject(new Error('nobody waits')); await new Promise((r) => setTimeout(r, 50)); });`,
    }),
  ).toBe('2 passed, 4 failed');
});

test('an ordinary user is told what was not tried, by file and group', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-skipped-'));
  try {
    symlinkSync(join(projectRoot, 'node_modules'), join(dir, 'node_modules'));
    mkdirSync(join(dir, 'test'));
    const files = {
      all: `test('a', () => {});`,
      none: `describe.skip('a full disk', () => { test('one', () => {}); test('two', () => {}); });`,
      some: `test('a', () => {}); test.skip('b of root', () => {}); test('c', ({ skip }) => skip());`,
    };
    for (const [name, text] of Object.entries(files))
      writeFileSync(join(dir, `test/${name}.test.js`), `import { describe, test } from 'vitest';\n${text}`);
    const reporter = join(projectRoot, 'scripts/skipped-reporter.mjs');
    const vitest = join(projectRoot, 'node_modules/vitest/vitest.mjs');
    const out = run(process.execPath, vitest, 'run', '--root', dir, `--reporter=${reporter}`);
    const lines = out.split('\n').filter((line) => line.startsWith('  '));
    expect(lines.toSorted()).toEqual(['  test/none.test.js (2): a full disk', '  test/some.test.js (2): b of root; c']);
    expect(out).toContain('Skipped: what takes the machine');
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('a run that ended without counts, or failed for a reason that nobody counted, has failed', () => {
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-counts-'));
  try {
    writeFileSync(join(dir, 'none'), '');
    expect(say(join(dir, 'none'), 134)).toBe('0 passed, 1 failed');
    writeFileSync(join(dir, 'some'), '{"passed":7,"failed":0}');
    expect(say(join(dir, 'some'), 1)).toBe('7 passed, 1 failed');
    expect(say(join(dir, 'some'), 0)).toBe('7 passed, 0 failed');
  } finally {
    rmSync(dir, { recursive: true });
  }
});
