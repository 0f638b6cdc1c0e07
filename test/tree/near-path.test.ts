import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ContextTree, missingPathHint, toByteString } from '../../src/tree/index.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'tsbuild-near-'));
  mkdirSync(join(dir, 'dist/assets'), { recursive: true });
  for (const name of ['package.json', 'tsconfig.json', 'dist/main.js', 'dist/assets/logo.svg', 'größe.txt'])
    writeFileSync(join(dir, name), '');
});
afterAll(() => rmSync(dir, { recursive: true }));

const USUAL = 'check the path, and that .dockerignore does not exclude it';

test.each([
  ['packge.json', 'did you mean "/package.json"?'],
  ['PACKAGE.JSON', 'did you mean "/package.json"?'],
  ['dits/main.js', 'did you mean "/dist/main.js"?'],
  ['dist/mian.js', 'did you mean "/dist/main.js"?'],
  ['dits/mian.js', 'did you mean "/dist"?'],
  ['/dist/asets/logo.svg', 'did you mean "/dist/assets/logo.svg"?'],
  ['grosse.txt', 'did you mean "/größe.txt"?'],
  ['nothing-like-it', USUAL],
  ['package.json/x', USUAL],
  ['', USUAL],
])('for %s the nearest path is told, where one is near', (path, hint) => {
  const tree = ContextTree.open(dir, { xattrs: false });
  expect(missingPathHint(tree, toByteString(path))).toBe(hint);
});
