import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli } from '../../../src/cli/program.ts';
import { fakeContext } from '../../fakes/cli-context.ts';
import { commandIn } from '../../fakes/command.ts';
import { imageArchive, tar } from '../../support/image.ts';
import { TempDir } from '../../tree/support.ts';

let dir: TempDir;
beforeAll(() => {
  dir = new TempDir();
  writeFileSync(join(dir.path, 'image.tar'), imageArchive([[{ name: 'one', content: '1' }]], 'own:1'));
  writeFileSync(join(dir.path, 'root.tar'), tar([{ name: 'etc/hostname', content: 'x\n' }]));
  writeFileSync(join(dir.path, 'text'), 'this is no archive\n'.repeat(100));
  writeFileSync(join(dir.path, 'empty'), '');
  mkdirSync(join(dir.path, 'directory'));
});
afterAll(() => dir[Symbol.dispose]());
const { run, ok } = commandIn(() => dir.path);
const names = async (): Promise<readonly string[]> =>
  (await ok('images', '--format', '{{.Image}}')).split('\n').filter(Boolean);

describe('import', () => {
  test('names the image by the second argument, as docker and podman have it, and by -t', async () => {
    expect(await ok('import', 'root.tar', 'root:1')).toMatch(/^docker\.io\/library\/root:1 {2}sha256:[0-9a-f]{64}\n$/);
    expect(await ok('import', 'root.tar', 'root:2', '-t', 'also:2')).toMatch(
      /^docker\.io\/library\/root:2, docker\.io\/library\/also:2 {2}sha256:/,
    );
    expect(await names()).toEqual(['also:2', 'root:1', 'root:2']);
    // Without a tag it is the latest.
    await ok('import', 'root.tar', 'reg.test:5000/team/root');
    expect(await names()).toContain('reg.test:5000/team/root:latest');
  });

  test('keeps the names that an archive has, unless others are given', async () => {
    expect(await ok('import', 'image.tar')).toMatch(/own:1 {2}sha256:/);
    expect(await names()).toContain('own:1');
    await ok('import', 'image.tar', 'given:1');
    expect(await ok('inspect', '-f', '{{.Id}}', 'given:1')).toBe(await ok('inspect', '-f', '{{.Id}}', 'own:1'));
  });

  test('takes what comes by standard input', async () => {
    const env = { TSBUILD_ROOT: join(dir.path, 'store'), HOME: dir.path };
    const context = fakeContext({
      cwd: dir.path,
      uid: process.getuid?.() ?? 0,
      env,
      stdin: [imageArchive([[{ name: 'one', content: '1' }]], 'piped:1')],
    });
    expect(await runCli(['import', '-', 'piped:2'], context), context.err()).toBe(0);
    expect(await names()).toContain('piped:2');
  });

  test.each([
    [['none.tar'], 1, 'Cannot import "none.tar": it does not exist'],
    [['text'], 1, 'Cannot import'],
    [['empty'], 1, 'it is empty'],
    [['directory'], 1, 'Cannot read "oci-layout" of OCI layout'],
    [['root.tar', 'Bad'], 2, 'must be lowercase'],
    [['root.tar', ''], 2, 'it is empty'],
    [['root.tar', 'a:1', 'b:2'], 2, 'too many arguments'],
    [['root.tar', '-t', 'a b'], 2, 'invalid reference format'],
    [[], 2, "missing required argument 'file|directory'"],
  ])('%j is refused, and nothing is kept of it', async (words, status, why) => {
    const before = await names();
    const { code, out, err } = await run('import', ...words);
    expect([code, out]).toEqual([status, '']);
    expect(err).toContain(why);
    expect(err).not.toMatch(/\bE[A-Z]{4,}:|fault of tsbuild/);
    expect(await names()).toEqual(before);
  });
});

describe('load, as docker has it', () => {
  test('is an import of what -i names', async () => {
    expect(await ok('load', '-qi', 'image.tar')).toMatch(/own:1/);
    expect(await ok('image', 'load', '--input=image.tar')).toMatch(/own:1/);
    const { code, err } = await run('load', '-i', 'none.tar');
    expect([code, err.split('\n')[0]]).toEqual([1, 'error: Cannot import "none.tar": it does not exist']);
  });
});
