import fs from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Descriptor, mediaTypes } from '../../src/image/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { openStore, type TestStore } from './support.ts';

const descriptor = (text: string): Descriptor => ({
  mediaType: mediaTypes.ociManifest,
  digest: sha256(text),
  size: text.length,
});

describe('names of images', () => {
  test('outlive the process, are listed by name, and are told when they were given', () => {
    using opened = openStore();
    opened.store.images.put('reg.test/b:1', descriptor('b'));
    opened.advance(1000);
    opened.store.images.put('docker.io/library/a:1', descriptor('a'));
    using again = openStore(opened.root);
    expect(again.store.images.list()).toEqual([
      { name: 'docker.io/library/a:1', descriptor: descriptor('a'), createdAt: 1_700_000_001_000 },
      { name: 'reg.test/b:1', descriptor: descriptor('b'), createdAt: 1_700_000_000_000 },
    ]);
  });

  test('that are given to the same image again keep their time, and cost no write', () => {
    using opened = openStore();
    const { images } = opened.store;
    images.put('a:1', descriptor('a'));
    const { path = '', text } = images.file('a:1') ?? {};
    const { ino } = fs.statSync(path);
    opened.advance(1000);
    images.put('a:1', descriptor('a'));
    expect([images.file('a:1')?.text, fs.statSync(path).ino]).toEqual([text, ino]);
    images.put('a:1', descriptor('b'));
    expect(images.get('a:1')).toMatchObject({ descriptor: descriptor('b'), createdAt: 1_700_000_001_000 });
    expect(images.files()).toHaveLength(1);
  });

  test('may be anything, and never lead out of their directory', () => {
    using opened = openStore();
    const { images, layout } = opened.store;
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ minLength: 1 }), fc.constantFrom('../../x', '/', 'a/b/c', '.', '\n')),
        (name) => {
          images.put(name, descriptor(name));
          expect(images.get(name)?.name).toBe(name);
          expect(images.file(name)?.path).toMatch(new RegExp(`^${layout.images}/[0-9a-f]{64}\\.json$`));
          expect(images.remove(name)).toBe(true);
          expect(images.get(name)).toBeUndefined();
        },
      ),
      { numRuns: 30 },
    );
    expect(images.list()).toEqual([]);
  });
});

describe('a file that is damaged', () => {
  const { digest } = descriptor('a');
  let opened: TestStore;
  beforeAll(() => void (opened = openStore()));
  afterAll(() => opened[Symbol.dispose]());

  test.each([
    ['', 'nothing'],
    ['{', 'half of it'],
    ['null', 'nothing at all'],
    ['[]', 'a list'],
    ['{"name":"a:1"}', 'no descriptor'],
    [`{"name":5,"descriptor":{"mediaType":"x","digest":"${digest}","size":1}}`, 'a name that is none'],
    [`{"name":"b:1","descriptor":{"mediaType":"x","digest":"${digest}","size":1}}`, 'another name'],
    ['{"name":"a:1","descriptor":{"mediaType":"x","digest":"sha256:1","size":1}}', 'no digest'],
    [`{"name":"a:1","descriptor":{"mediaType":"x","digest":"${digest}","size":"1"}}`, 'a size that is none'],
    [`{"name":"a:1","descriptor":{"digest":"${digest}","size":1}}`, 'no type'],
  ])('%s: is as if it were not there, and is replaced (%s)', (text) => {
    const { images } = opened.store;
    images.put('a:1', descriptor('a'));
    const { path = '' } = images.file('a:1') ?? {};
    fs.writeFileSync(path, text);
    expect(images.get('a:1')).toBeUndefined();
    expect(images.parse(path)).toBeUndefined();
    expect(images.list().map(({ name }) => name)).not.toContain('a:1');
    images.put('a:1', descriptor('a'));
    expect(images.get('a:1')?.descriptor).toEqual(descriptor('a'));
  });

  test('or is a directory is replaced, too', () => {
    const { images } = opened.store;
    images.put('a:1', descriptor('a'));
    const { path = '' } = images.file('a:1') ?? {};
    fs.rmSync(path);
    fs.mkdirSync(join(path, 'full'), { recursive: true });
    expect(images.get('a:1')).toBeUndefined();
    images.put('a:1', descriptor('a'));
    expect(images.get('a:1')?.descriptor).toEqual(descriptor('a'));
  });

  test('without a time is of the beginning of time', () => {
    const { images } = opened.store;
    images.put('a:1', descriptor('a'));
    const { path = '', text = '' } = images.file('a:1') ?? {};
    fs.writeFileSync(path, text.replace(/"createdAt":\d+/, '"createdAt":"never"'));
    expect(images.get('a:1')?.createdAt).toBe(0);
  });
});
