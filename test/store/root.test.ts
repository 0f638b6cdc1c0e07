import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Store } from '../../src/store/index.ts';
import { isTsbuildError } from '../../src/util/index.ts';
import { makeLayer, openStore, tempRoot } from './support.ts';

const now = (): number => 0;

/** The error of opening, as text with hint. */
function refusal(root: string): string {
  try {
    Store.open(root, { now }).close();
  } catch (error) {
    if (isTsbuildError(error)) return `${error.code} ${error.message} (${error.hint ?? ''})`;
    throw error;
  }
  return 'opened';
}

describe('opening a store', () => {
  test('makes private directories', () => {
    using opened = openStore();
    for (const dir of ['.', 'blobs', 'blobs/sha256', 'ingest', 'snapshots', 'mounts', 'images', 'locks', 'sessions'])
      expect(fs.statSync(join(opened.root, dir)).mode & 0o7777, dir).toBe(0o700);
    expect(opened.warnings).toEqual([]);
  });

  test('opens again with what was in it', () => {
    const root = tempRoot();
    {
      using first = openStore(root);
      first.store.blobs.put('hello');
      first.store.images.put('a', { mediaType: 'x', ...first.store.blobs.put('hello') });
    }
    using second = openStore(root);
    expect(second.store.images.list().map(({ name }) => name)).toEqual(['a']);
    expect([...second.store.blobs.list()]).toHaveLength(1);
    expect(second.warnings).toEqual([]);
  });

  test.each([
    ['spaces and unicode', 'a b ü €'],
    ['a long path', `${'x'.repeat(100)}/${'y'.repeat(100)}`],
    ['a quote', `it's "one"`],
  ])('works in a path with %s (REL-28)', (_name, path) => {
    using opened = openStore(join(tempRoot(), path));
    expect(opened.store.blobs.put('x').size).toBe(1);
  });

  test.each([
    ['others can write to it', (root: string) => fs.chmodSync(root, 0o770), /other users can write to it.*chmod 700/],
    ['everybody can write to it', (root: string) => fs.chmodSync(root, 0o707), /other users can write to it/],
    [
      'it has a newer format',
      (root: string) => fs.writeFileSync(join(root, 'store.json'), '{"format":2}'),
      /has format 2/,
    ],
  ])('refuses one when %s, and changes nothing (CAC-11, REL-25)', (_name, spoil, expected) => {
    const root = tempRoot();
    openStore(root).store.close();
    spoil(root);
    const before = fs.readdirSync(root).map((name) => [name, fs.statSync(join(root, name)).mtimeMs]);
    expect(refusal(root)).toMatch(expected);
    expect(fs.readdirSync(root).map((name) => [name, fs.statSync(join(root, name)).mtimeMs])).toEqual(before);
  });

  test.each([
    ['garbage', 'x'],
    ['no object', 'null'],
    ['cut short', '{"format":1,"ind'],
    ['leading elsewhere', '{"format":1,"index":"../x"}'],
    ['a directory', undefined],
  ])('whose header is %s is found again, with all that was in it', (_name, text) => {
    const root = tempRoot();
    let layer = '';
    {
      using opened = openStore(root);
      layer = makeLayer(opened.store);
      // Of two indexes the one that is in use has the higher number.
      opened.store.database().rebuild();
      layer = makeLayer(opened.store);
    }
    // The worker of an ordinary user makes this one.
    fs.mkdirSync(join(root, 'private'));
    fs.rmSync(join(root, 'store.json'));
    if (text === undefined) fs.mkdirSync(join(root, 'store.json'));
    else fs.writeFileSync(join(root, 'store.json'), text);
    for (let time = 0; time < 2; time++) {
      using opened = openStore(root);
      expect(opened.warnings).toEqual([]);
      expect(opened.store.layers.get(layer)?.fs).toBe(true);
    }
  });

  test.runIf(process.getuid?.() === 0)('refuses one of another user (CAC-11)', () => {
    const root = tempRoot();
    openStore(root).store.close();
    fs.chownSync(root, 12_345, 12_345);
    expect(refusal(root)).toMatch(/belongs to user 12345/);
  });

  test('refuses a symbolic link, a file, and a directory with other things in it (CAC-11)', () => {
    const root = tempRoot();
    openStore(root).store.close();
    fs.symlinkSync(root, `${root}-link`);
    expect(refusal(`${root}-link`)).toMatch(/symbolic link/);
    fs.writeFileSync(`${root}-file`, '');
    expect(refusal(`${root}-file`)).toMatch(/not a directory/);
    fs.mkdirSync(`${root}-home`);
    fs.writeFileSync(join(`${root}-home`, 'letter.txt'), '');
    expect(refusal(`${root}-home`)).toMatch(/holds other files, for example "letter.txt"/);
    expect(fs.readdirSync(`${root}-home`)).toEqual(['letter.txt']);
  });

  test('closes to others what they could read', () => {
    const root = tempRoot();
    openStore(root).store.close();
    fs.chmodSync(root, 0o755);
    openStore(root).store.close();
    expect(fs.statSync(root).mode & 0o777).toBe(0o700);
  });

  test('finishes a store whose making was interrupted', () => {
    const root = tempRoot();
    fs.mkdirSync(join(root, 'blobs'), { recursive: true, mode: 0o700 });
    fs.chmodSync(root, 0o700);
    fs.writeFileSync(join(root, 'store.json'), '');
    using opened = openStore(root);
    expect(opened.store.blobs.put('x').size).toBe(1);
  });
});
