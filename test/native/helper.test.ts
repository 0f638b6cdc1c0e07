import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findHelper } from '../../src/sandbox/index.ts';

const script = fileURLToPath(new URL('../../scripts/build-native.sh', import.meta.url));

/** What a helper says on standard error for input on standard input. */
function run(helper: string, command: string, input: string | Uint8Array): { code: number | null; err: Buffer } {
  const done = spawnSync(helper, [command], { input, env: {} });
  return { code: done.status, err: done.stderr };
}

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'tsbuild-helper-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('the sandbox helper that ships', () => {
  test('is position-independent and needs no loader and no library', () => {
    const elf = readFileSync(findHelper());
    const [ET_DYN, PT_INTERP] = [3, 3];
    expect(elf.readUInt16LE(16)).toBe(ET_DYN);
    const [offset, size, count] = [Number(elf.readBigUInt64LE(32)), elf.readUInt16LE(54), elf.readUInt16LE(56)];
    const types = Array.from({ length: count }, (_, at) => elf.readUInt32LE(offset + at * size));
    expect(types).not.toContain(PT_INTERP);
  });

  test.each([300, 900, 1000, 1023, 1024, 3000, 4000])(
    'a failing path of %i bytes prints one line and nothing of the stack',
    (length) => {
      const path = `/${'x'.repeat(length - 1)}`;
      const { code, err } = run(findHelper(), 'remove', `${path}/..\0`);
      expect(code).toBe(125);
      expect(err.length).toBeLessThanOrEqual(1024);
      expect(err.toString('latin1')).toMatch(/^tsbuild-helper: \/x+[^\0\n]*\n$/);
      // What was wrong is said even behind a path that does not fit.
      expect(err.toString()).toMatch(/File name too long|Filename too long/);
    },
  );
});

/** Whether the machine's compiler takes these flags. */
const takes = (flags: string): boolean =>
  spawnSync('sh', ['-c', `echo "int main(void){return 0;}" | cc ${flags} -x c -o /dev/null -`]).status === 0;

test.skipIf(!takes('-fanalyzer -c'))("gcc's analyzer finds nothing in the helper", { timeout: 240_000 }, () => {
  const done = spawnSync('sh', [script, '--analyze'], { encoding: 'utf8' });
  expect([done.status, done.stderr]).toEqual([0, '']);
});

describe.skipIf(!takes('-fsanitize=address,undefined'))('the helper with AddressSanitizer and UBSan', () => {
  let helper: string;
  beforeAll(() => {
    execFileSync('sh', [script, '--sanitize', dir], { stdio: 'pipe' });
    helper = join(dir, 'tsbuild-helper');
  });

  test('removes and measures trees of any depth and any names', () => {
    const tree = join(dir, 'tree');
    mkdirSync(tree + '/d'.repeat(300), { recursive: true });
    for (let at = 0; at < 100; at++) writeFileSync(join(tree, `f${at}${'n'.repeat(at * 2)}`), 'x');
    for (const command of ['usage', 'remove']) {
      const { code, err } = run(helper, command, `${tree}\0${dir}/missing\0`);
      expect([command, code, err.toString()]).toEqual([command, 0, '']);
    }
    expect(existsSync(tree)).toBe(false);
  });

  test('reports paths of all lengths', () => {
    for (let length = 300; length < 4200; length += 97) {
      const { code, err } = run(helper, 'remove', `/${'y'.repeat(length)}\0`);
      expect([length, code, err.toString()]).toEqual([
        length,
        125,
        expect.stringMatching(/^tsbuild-helper: \/y+[^\n]*\n$/),
      ]);
    }
  });
});
