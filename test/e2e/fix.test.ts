import { chmodSync, lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeAsUser, useBench } from '../support/e2e.ts';

const BAD = '# A comment stays\nFROM scratch as x\nENV k a b\nCOPY a /   \n';
const GOOD = '# A comment stays\nFROM scratch AS x\nENV k="a b"\nCOPY a /   \n';
const DIFF = ` # A comment stays
-FROM scratch as x
+FROM scratch AS x
-ENV k a b
+ENV k="a b"
 COPY a /   
`;

describeAsUser('tsbuild build --check --fix', (who) => {
  const use = useBench(who, { base: false });
  const read = (...path: string[]): string => readFileSync(join(...path), 'utf8');

  test('rewrites the file, shows the difference, and reports on what is left', async () => {
    const context = use.bench.context(BAD);
    const first = await use.bench.tsbuild(['build', '--check', '--fix', context]);
    expect(first.err).toBe('');
    expect(first.out).toContain(DIFF);
    expect(first.out).toContain('Dockerfile: fixed 2: FromAsCasing, LegacyKeyValueFormat\n');
    expect(first.out).toMatch(/\nCheck complete, no warnings found\.\n$/);
    expect(first.code).toBe(0);
    expect(read(context, 'Dockerfile')).toBe(GOOD);
    // Nothing beside it.
    expect(readdirSync(context)).toEqual(['Dockerfile']);
    const second = await use.bench.tsbuild(['build', '--check', '--fix', context]);
    expect(second).toMatchObject({ code: 0, out: 'Check complete, no warnings found.\n' });
  });

  test('what changes the image is said, and done only when it may be', async () => {
    const context = use.bench.context("FROM scratch\nMAINTAINER me\nCMD ['a']\n");
    const careful = await use.bench.tsbuild(['build', '--check', '--fix', context]);
    expect(careful.out).toContain(
      '--unsafe-fixes would fix 2: MaintainerDeprecated, SingleQuotedJSON, and change the image',
    );
    expect(careful.code).toBe(1);
    const bold = await use.bench.tsbuild(['build', '--check', '--fix', '--unsafe-fixes', context]);
    expect(bold.code).toBe(0);
    expect(read(context, 'Dockerfile')).toBe('FROM scratch\nLABEL org.opencontainers.image.authors="me"\nCMD ["a"]\n');
  });

  test('many files by a pattern, the broken one among them untouched', async () => {
    const cwd = use.bench.write('many', { 'a/Dockerfile': BAD, 'b/Dockerfile': `${BAD}COPPY\n`, 'c/Dockerfile': BAD });
    const { code, out } = await use.bench.tsbuild(['build', '--check', '--fix', '*/Dockerfile'], { cwd });
    expect(code).toBe(1);
    expect(out).toContain('--- a/Dockerfile\n+++ a/Dockerfile\n');
    expect(out).toContain('Checked 3 files: no warnings, 1 file cannot be built.');
    expect(['a', 'b', 'c'].map((dir) => read(cwd, dir, 'Dockerfile') === GOOD)).toEqual([true, false, true]);
  });

  test('JSON stays the only thing on standard output', async () => {
    const context = use.bench.context(BAD);
    const { out, err } = await use.bench.tsbuild(['build', '--call=check,format=json', '--fix', context]);
    expect(JSON.parse(out)).toMatchObject({ warnings: [] });
    expect(err).toContain(DIFF);
  });

  test('mode and symlink stay', async () => {
    const cwd = use.bench.write('link', { 'real/file': { text: BAD, mode: 0o640 }, Dockerfile: { link: 'real/file' } });
    await use.bench.ok(['build', '--check', '--fix', '.'], { cwd });
    expect(lstatSync(join(cwd, 'Dockerfile')).isSymbolicLink()).toBe(true);
    expect(readlinkSync(join(cwd, 'Dockerfile'))).toBe('real/file');
    expect(read(cwd, 'real/file')).toBe(GOOD);
    const { mode, uid } = statSync(join(cwd, 'real/file'));
    expect([mode & 0o7777, uid]).toEqual([0o640, who.uid]);
  });

  test('"dockerfile" is found where there is no "Dockerfile"', async () => {
    const cwd = use.bench.write('lower', { dockerfile: BAD });
    await use.bench.ok(['build', '--check', '--fix', '.'], { cwd });
    expect(read(cwd, 'dockerfile')).toBe(GOOD);
  });

  test('a Dockerfile from standard input goes to standard output, its report to standard error', async () => {
    for (const args of [['-'], ['-f', '-', '.']]) {
      const { code, out, err } = await use.bench.tsbuild(['build', '--check', '--fix', ...args], { stdin: BAD });
      expect(out).toBe(GOOD);
      expect(err).toContain(DIFF);
      expect(code).toBe(0);
    }
    const broken = await use.bench.tsbuild(['build', '--check', '--fix', '-'], { stdin: 'FROM scratch\nCOPPY a\n' });
    expect(broken).toMatchObject({ code: 1, out: 'FROM scratch\nCOPPY a\n' });
    expect(broken.err).toContain('unknown instruction: COPPY');
  });

  test.each([
    ['--fix without --check', ['build', '--fix', '.'], 2, 'Cannot use --fix without --check'],
    ['--unsafe-fixes alone', ['build', '--check', '--unsafe-fixes', '.'], 2, 'without --fix'],
    ['standard input among files', ['build', '--check', '--fix', '-', 'x'], 2, '"-" stands alone'],
    ['standard input as JSON', ['build', '--call=check,format=json', '--fix', '-'], 2, 'to standard output'],
    ['a file elsewhere', ['build', '--check', '--fix', 'https://127.0.0.1:9/x.git'], 2, 'not on this machine'],
  ])('refuses %s', async (_, args, exit, message) => {
    const { code, err } = await use.bench.tsbuild(args, { stdin: BAD });
    expect(err).toContain(message);
    expect(code).toBe(exit);
  });

  test('refuses bytes that it would not write back', async () => {
    const bytes = Buffer.concat([Buffer.from(BAD), Buffer.from([0x23, 0xff, 0x0a])]);
    const context = use.bench.write('latin1', { Dockerfile: bytes });
    const { code, err } = await use.bench.tsbuild(['build', '--check', '--fix', context]);
    expect(err).toContain('it holds bytes that are not UTF-8');
    expect(code).toBe(1);
    expect(readFileSync(join(context, 'Dockerfile'))).toEqual(bytes);
  });

  test.skipIf(who.uid === 0)('refuses a file that is write-protected, and a directory that is', async () => {
    const cwd = use.bench.write('protected', { 'a/Dockerfile': { text: BAD, mode: 0o444 }, 'b/Dockerfile': BAD });
    chmodSync(join(cwd, 'b'), 0o555);
    const { code, out } = await use.bench.tsbuild(['build', '--check', '--fix', '*/Dockerfile'], { cwd });
    expect(code).toBe(1);
    expect(out.match(/Cannot fix ".*": permission denied/g)).toHaveLength(2);
    chmodSync(join(cwd, 'b'), 0o755);
    expect([read(cwd, 'a/Dockerfile'), read(cwd, 'b/Dockerfile')]).toEqual([BAD, BAD]);
    expect(readdirSync(join(cwd, 'b'))).toEqual(['Dockerfile']);
  });
});
