import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseMode } from '../../src/fileop/mode.ts';

const FILE = false;
const DIRECTORY = true;

describe('a mode', () => {
  test.each<[string, number, boolean, number]>([
    ['0', 0o777, FILE, 0],
    ['755', 0, FILE, 0o755],
    ['0755', 0, FILE, 0o755],
    ['7777', 0, DIRECTORY, 0o7777],
    ['u=rwX,go=rX', 0o600, FILE, 0o644],
    ['u=rwX,go=rX', 0o700, FILE, 0o755],
    ['u=rwX,go=rX', 0o600, DIRECTORY, 0o755],
    ['a+x', 0o644, FILE, 0o755],
    ['+x', 0o644, FILE, 0o755],
    ['go-w', 0o666, FILE, 0o644],
    ['g=u', 0o740, FILE, 0o770],
    ['o=g-w', 0o670, FILE, 0o675],
    ['u=', 0o777, FILE, 0o077],
    ['a=', 0o7777, FILE, 0o1000],
    ['a=', 0o7777, DIRECTORY, 0o1000],
    ['u+s,g+s', 0o755, FILE, 0o6755],
    ['o+s', 0o755, FILE, 0o755],
    ['+t', 0o755, DIRECTORY, 0o1755],
    ['u+t', 0o755, DIRECTORY, 0o1755],
    ['u=rw', 0o4755, FILE, 0o655],
    ['u=rw', 0o4755, DIRECTORY, 0o655],
    ['u=rwX,go=rX', 0o2770, DIRECTORY, 0o755],
    ['g=u', 0o2740, FILE, 0o2770],
    ['o+t', 0o755, DIRECTORY, 0o755],
    ['u=s', 0o2755, DIRECTORY, 0o6055],
    ['a+X', 0o001, FILE, 0o111],
    ['u-x,a+X', 0o700, FILE, 0o711],
    ['u+r-w+x', 0o200, FILE, 0o500],
  ])('%s of %o (directory: %s) is %o', (text, mode, isDir, wanted) => {
    expect(parseMode(text)(mode, isDir)).toBe(wanted);
  });

  test('has nothing to do with what kind of file it is of', () => {
    expect(parseMode('a+r')(0o100600, FILE)).toBe(0o644);
    expect(parseMode('o+x')(0o040700, DIRECTORY)).toBe(0o701);
  });

  test.each(['', ' ', '8', '0778', '77777', '-1', 'u', 'x', 'u+y', 'b+x', 'u+x,', ',u+x', 'u+x g+x', '0x1', 'U+X', 'u+x\n', '＋x'])(
    '%j is none',
    (text) => {
      expect(() => parseMode(text)).toThrow(
        expect.objectContaining({
          code: 'TSB_DOCKERFILE',
          message: `Cannot use mode "${text}": it is neither octal nor symbolic`,
          hint: 'for example: 755, u=rwX,go=rX or a+x',
        }),
      );
    },
  ); // oxfmt-ignore
});

describe('BuildKit', () => {
  const answers = JSON.parse(readFileSync(new URL('../../testdata/modes.json', import.meta.url), 'utf8')) as [
    string,
    string,
    string,
    string,
  ][];

  // Asked with one `COPY --chmod=TEXT` each, of a directory that holds a file and a directory with the mode before.
  test.each(answers)('makes the same of %s for %s', (text, before, file, directory) => {
    const change = parseMode(text);
    const made = [FILE, DIRECTORY].map((isDir) =>
      change(Number.parseInt(before, 8), isDir).toString(8).padStart(4, '0'),
    );
    expect(made).toEqual([file, directory]);
  });
});
