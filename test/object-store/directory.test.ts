import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DirectoryStore } from '../../src/object-store/directory-store.ts';
import { bytesOf, contentOf, patterned } from '../suites/object-store.ts';
import { testTask } from '../support/task.ts';

let root: string;
let path: string;
let now: number;
let store: DirectoryStore;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tsbuild-objects-'));
  path = join(root, 'cache');
  now = Date.now();
  store = new DirectoryStore({ path, now: () => now });
});
afterEach(() => rmSync(root, { recursive: true }));

const put = (name: string, bytes: Uint8Array | string, to: DirectoryStore = store): Promise<void> =>
  to.put(testTask(), name, contentOf(Buffer.from(bytes as string)));
const names = async (): Promise<string[]> => {
  const found: string[] = [];
  for await (const { name } of store.list(testTask(), '')) found.push(name);
  return found.toSorted();
};
const code = (name: string): unknown => expect.objectContaining({ code: name });

describe('what another job may have put there', () => {
  test('a directory that is a link is not entered, neither to read nor to write nor to list', async () => {
    await put('blobs/a', 'mine');
    mkdirSync(join(root, 'victim'));
    writeFileSync(join(root, 'victim/secret'), 'secret');
    symlinkSync(join(root, 'victim'), join(path, 'records'));
    for (const doing of [
      () => store.get(testTask(), 'records/secret', { maxBytes: 99 }),
      () => store.head(testTask(), 'records/secret'),
      () => put('records/new', 'x'),
      () => put('records/secret', 'x'),
    ])
      await expect(doing()).rejects.toThrow(/records\/\w+" (?:in|to) ".*cache": /);
    await store.delete(testTask(), 'records/secret').catch(() => undefined);
    expect(await names()).toEqual(['blobs/a']);
    expect(readdirSync(join(root, 'victim'))).toEqual(['secret']);
    expect(readFileSync(join(root, 'victim/secret'), 'utf8')).toBe('secret');
  });

  test('a file that is a link is not read, and is replaced as itself', async () => {
    await put('blobs/a', 'mine');
    writeFileSync(join(root, 'secret'), 'secret');
    symlinkSync(join(root, 'secret'), join(path, 'blobs/b'));
    await expect(bytesOf(store, 'blobs/b')).rejects.toThrow(
      expect.objectContaining({ hint: expect.stringContaining('a symbolic link is in its place') }),
    );
    await put('blobs/b', 'other');
    expect((await bytesOf(store, 'blobs/b'))?.toString()).toBe('other');
    expect(readFileSync(join(root, 'secret'), 'utf8')).toBe('secret');
  });

  test('pipes and devices are not waited for', async () => {
    await put('blobs/a', 'mine');
    execFileSync('mkfifo', [join(path, 'blobs/pipe')]);
    await expect(bytesOf(store, 'blobs/pipe')).rejects.toThrow(code('TSB_PERMISSION'));
    expect(await names()).toEqual(['blobs/a']);
    await put('blobs/pipe', 'now a file');
    expect(statSync(join(path, 'blobs/pipe')).isFile()).toBe(true);
  });

  test.each(['', 'blobs'])('where everybody may write (%j), nothing is read or written', async (below) => {
    await put('blobs/a', 'mine');
    chmodSync(join(path, below), 0o1777);
    const refused = expect.objectContaining({ code: 'TSB_PERMISSION', hint: expect.stringContaining('chmod') });
    await expect(bytesOf(store, 'blobs/a')).rejects.toThrow(refused);
    await expect(put('blobs/b', 'x')).rejects.toThrow(refused);
    chmodSync(join(path, below), 0o775);
    expect((await bytesOf(store, 'blobs/a'))?.toString()).toBe('mine');
  });

  test("files of other names are nobody's objects", async () => {
    await put('blobs/a', 'mine');
    for (const name of ['UPPER', '~half', 'with space']) writeFileSync(join(path, name), 'x');
    expect(await names()).toEqual(['blobs/a']);
  });
});

test('what a killed job was writing goes after a day, and not before', async () => {
  await put('blobs/a', 'x');
  for (const [name, hours] of [
    ['~old', 25],
    ['~new', 1],
  ] as const) {
    writeFileSync(join(path, 'blobs', name), patterned(1000));
    utimesSync(join(path, 'blobs', name), now / 1000 - hours * 3600, now / 1000 - hours * 3600);
  }
  expect(await names()).toEqual(['blobs/a']);
  expect(readdirSync(join(path, 'blobs')).toSorted()).toEqual(['a', '~new']);
});

test('a writer that is killed at any moment leaves whole objects only', async () => {
  const code = `
    const { DirectoryStore } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/object-store/directory-store.ts'))});
    const store = new DirectoryStore({ path: ${JSON.stringify(path)}, now: Date.now });
    const task = { signal: new AbortController().signal, events: () => undefined };
    for (let at = 0; ; at++) {
      const bytes = Buffer.alloc(300_000, at % 251);
      await store.put(task, 'blobs/' + (at % 5), { size: bytes.length, async *open() { yield bytes.subarray(0, 9); yield bytes.subarray(9); } });
      if (at === 0) console.log('begun');
    }`;
  for (let round = 0; round < 4; round++) {
    const writer = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => writer.once('exit', resolve));
    await new Promise((resolve) => writer.stdout.once('data', resolve));
    await sleep(3 + 7 * round);
    writer.kill('SIGKILL');
    await ended;
    for (const name of await names()) {
      const bytes = await bytesOf(store, name);
      expect(bytes?.length).toBe(300_000);
      expect(bytes?.equals(Buffer.alloc(300_000, bytes[0]))).toBe(true);
    }
  }
});

test('one that is there in another length is damaged, and written again', async () => {
  await put('blobs/a', 'whole');
  chmodSync(join(path, 'blobs/a'), 0o600);
  writeFileSync(join(path, 'blobs/a'), 'wh');
  await store.put(testTask(), 'blobs/a', contentOf(Buffer.from('whole')), { ifAbsent: true });
  expect((await bytesOf(store, 'blobs/a'))?.toString()).toBe('whole');
});

test('touching makes young, and reading does so after a while', async () => {
  await put('blobs/a', 'x');
  const modified = (): number => statSync(join(path, 'blobs/a')).mtimeMs;
  const written = modified();
  now += 5 * 60_000;
  await bytesOf(store, 'blobs/a');
  expect(modified()).toBe(written);
  now += 10 * 60_000;
  await bytesOf(store, 'blobs/a');
  expect(Math.abs(modified() - now)).toBeLessThan(5);
  now += 1000;
  await store.touch(testTask(), 'blobs/a');
  expect(Math.abs(modified() - now)).toBeLessThan(5);
});

test('where nothing can be written, that is said with what helps', async () => {
  writeFileSync(path, 'a file');
  await expect(put('blobs/a', 'x')).rejects.toThrow(/^Cannot write "blobs\/a" to ".*cache": /);
  await expect(bytesOf(store, 'blobs/a')).rejects.toThrow(/^Cannot read "blobs\/a" in ".*cache": /);
});
