import fs from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkOwned, ownPackage, packageRoot } from '../../src/util/index.ts';
import { TempDir } from '../tree/support.ts';

let dir: TempDir;
/** The package, installed beside others. */
let root = '';
beforeEach(() => {
  dir = new TempDir();
  fs.chmodSync(dir.path, 0o755);
  root = fs.realpathSync(dir.mkdir('lib/node_modules/tsbuild'));
  dir.write('lib/node_modules/tsbuild/package.json', '{}', 0o644);
  dir.write('lib/node_modules/tsbuild/native/bin/helper', '', 0o755);
});
afterEach(() => dir[Symbol.dispose]());
const isRoot = process.getuid?.() === 0;
const at = (path: string): string => join(root, path);
const check = (path = 'native/bin/helper'): void => checkOwned(at(path), 'the sandbox helper', root);

describe('a program that is run', () => {
  test('is taken when only who could change tsbuild could change it', () => {
    expect(() => check()).not.toThrow();
  });

  test.each([
    ['the file, by all', 'native/bin/helper', 0o757, /"\/.*\/helper": it can be changed by every user/],
    ['the file, by a group', 'native/bin/helper', 0o775, /"\/.*\/helper": it can be changed by a group \(\d+\)/],
    ['its directory, by all', 'native/bin', 0o757, /"\/.*\/native\/bin" can be changed by every user/],
    ['a directory above it, by a group', 'native', 0o775, /"\/.*\/native" can be changed by a group/],
    ['the package, by all', '.', 0o757, /"\/.*\/tsbuild" can be changed by every user/],
  ])('is refused when others could change %s', (_what, path, mode, says) => {
    fs.chmodSync(at(path), mode);
    expect(() => check()).toThrow(
      expect.objectContaining({
        code: 'TSB_SANDBOX',
        message: expect.stringMatching(says) as string,
        hint: expect.stringMatching(/^install tsbuild again, or, if you trust it, type: chmod go-w \//) as string,
      }),
    );
    // What it says helps.
    fs.chmodSync(at(path), mode & ~0o022);
    expect(() => check()).not.toThrow();
  });

  test('may be in a directory where nobody replaces what is another’s', () => {
    fs.chmodSync(at('native'), 0o1777);
    expect(() => check()).not.toThrow();
  });

  test('may be changed by the group that may change tsbuild itself', () => {
    for (const path of ['package.json', 'native/bin/helper', 'native/bin', '.']) fs.chmodSync(at(path), 0o775);
    expect(() => check()).not.toThrow();
  });

  test('is judged by where it is, and not by where a link to it is', () => {
    dir.write('elsewhere/program', '', 0o755);
    fs.chmodSync(join(dir.path, 'elsewhere'), 0o777);
    fs.symlinkSync(join(dir.path, 'elsewhere/program'), at('native/bin/linked'));
    expect(() => check('native/bin/linked')).toThrow(/elsewhere" can be changed by every user/);
    fs.chmodSync(join(dir.path, 'elsewhere'), 0o755);
    expect(() => check('native/bin/linked')).not.toThrow();
  });

  test('of a package beside it, all up to the installation counts', () => {
    dir.write('lib/node_modules/@tsbuild/native-x/helper', '', 0o755);
    dir.write('lib/node_modules/@tsbuild/native-x/package.json', '{}');
    const program = join(root, '../@tsbuild/native-x/helper');
    expect(() => checkOwned(program, 'the helper', root)).not.toThrow();
    fs.chmodSync(join(root, '../@tsbuild'), 0o777);
    expect(() => checkOwned(program, 'the helper', root)).toThrow(/@tsbuild" can be changed by every user/);
    fs.chmodSync(join(root, '../@tsbuild'), 0o755);
    fs.chmodSync(join(root, '..'), 0o777);
    expect(() => checkOwned(program, 'the helper', root)).toThrow(/node_modules" can be changed by every user/);
  });

  test.skipIf(!isRoot)('is refused when it is another user’s, unless that one has tsbuild, too', () => {
    fs.chownSync(at('native/bin/helper'), 12_345, 0);
    expect(() => check()).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(/it belongs to another user \(12345\)$/) as string,
        hint: expect.stringMatching(/type: chown 0 \/.*\/helper$/) as string,
      }),
    );
    fs.chownSync(at('package.json'), 12_345, 0);
    expect(() => check()).not.toThrow();
    fs.chownSync(at('native'), 54_321, 0);
    expect(() => check()).toThrow(/native" belongs to another user \(54321\)/);
  });
});

describe('a package that was installed with tsbuild', () => {
  test('is in its own folder of packages, or in one that tsbuild itself lies in', () => {
    expect(ownPackage('koffi', root)).toBeUndefined();
    dir.write('lib/node_modules/koffi/package.json', '{}');
    expect(ownPackage('koffi', root)).toBe(fs.realpathSync(join(root, '../koffi')));
    dir.write('lib/node_modules/tsbuild/node_modules/koffi/package.json', '{}');
    expect(ownPackage('koffi', root)).toBe(join(root, 'node_modules/koffi'));
  });

  test('is not one that lies somewhere above, where others may write', () => {
    // Node's resolver would look there: the folder is beside a directory that tsbuild is in.
    dir.write('node_modules/koffi/package.json', '{}');
    expect(ownPackage('koffi', root)).toBeUndefined();
    dir.mkdir('lib/node_modules/empty');
    expect(ownPackage('empty', root)).toBeUndefined();
  });

  test('may be linked from a store of packages, and is where it really is', () => {
    dir.write('store/koffi@3/package.json', '{}');
    fs.symlinkSync(join(dir.path, 'store/koffi@3'), join(root, '../koffi'));
    expect(ownPackage('koffi', root)).toBe(fs.realpathSync(join(dir.path, 'store/koffi@3')));
  });

  test('of these sources is beside them', () => {
    expect(fs.existsSync(join(packageRoot(), 'src/util/own-package.ts'))).toBe(true);
    expect(ownPackage('vitest')).toMatch(/node_modules\/vitest$/);
  });
});
