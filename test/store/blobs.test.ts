import * as fc from 'fast-check';
import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BlobDir } from '../../src/store/index.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';
import { filesBelow, openStore, runUser, tempRoot } from './support.ts';

function emptyDir(): BlobDir {
  return new BlobDir(tempRoot());
}

describe('writing blobs', () => {
  test('any bytes in any chunks come back under their digest', () => {
    const dir = emptyDir();
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 2000 }), { maxLength: 6 }), (chunks) => {
        using writer = dir.ingest();
        for (const chunk of chunks) writer.write(chunk);
        const bytes = Buffer.concat(chunks);
        const info = writer.commit({ digest: sha256(bytes), size: bytes.length });
        expect(info).toEqual({ digest: sha256(bytes), size: bytes.length });
        expect(dir.read(info.digest).equals(bytes)).toBe(true);
        expect(dir.info(info.digest)).toEqual(info);
      }),
      { numRuns: 30 },
    );
    expect(filesBelow(join(dir.root, 'ingest'))).toEqual([]);
  });

  test('a blob is read-only and invisible before its commit', () => {
    const dir = emptyDir();
    using writer = dir.ingest();
    writer.write(Buffer.from('abc'));
    expect(dir.has(sha256('abc'))).toBe(false);
    expect(writer.size).toBe(3);
    writer.commit();
    expect(dir.has(sha256('abc'))).toBe(true);
    expect(dir.has(sha256('abc'), 4)).toBe(false);
    expect(fs.statSync(dir.path(sha256('abc'))).mode & 0o777).toBe(0o444);
  });

  test.each([
    ['digest', { digest: sha256('other') }, /its bytes have digest "sha256:ba7816bf/],
    ['size', { size: 4 }, /it has 3 bytes instead of 4/],
  ])('a commit with an unexpected %s leaves nothing', (_name, expected, message) => {
    const dir = emptyDir();
    using writer = dir.ingest();
    writer.write(Buffer.from('abc'));
    expect(() => writer.commit(expected)).toThrow(message);
    expect(filesBelow(dir.root)).toEqual([]);
  });

  test('a writer that is disposed or aborted leaves nothing', () => {
    const dir = emptyDir();
    {
      using writer = dir.ingest();
      writer.write(Buffer.from('abc'));
    }
    const second = dir.ingest();
    second.abort();
    second.abort();
    expect(filesBelow(dir.root)).toEqual([]);
  });

  test('a damaged blob heals when it is written again', () => {
    const dir = emptyDir();
    const { digest } = dir.put('content');
    for (const damage of [
      () => fs.writeFileSync(dir.path(digest), 'CONTENT'),
      () => fs.truncateSync(dir.path(digest), 3),
      () => fs.truncateSync(dir.path(digest), 0),
    ]) {
      fs.chmodSync(dir.path(digest), 0o600);
      damage();
      expect(dir.verify(digest)).toBe(false);
      dir.put('content');
      expect(dir.verify(digest)).toBe(true);
    }
  });

  test('what is there already is not written again, beside other work neither; what is damaged is', async () => {
    const dir = emptyDir();
    const { digest } = await dir.putBeside(Buffer.from('content'));
    const { ino } = fs.statSync(dir.path(digest));
    dir.put('content');
    await dir.putBeside(Buffer.from('content'));
    expect(fs.statSync(dir.path(digest)).ino).toBe(ino);
    fs.chmodSync(dir.path(digest), 0o600);
    fs.writeFileSync(dir.path(digest), 'CONTENT');
    await dir.putBeside(Buffer.from('content'));
    expect(dir.verify(digest)).toBe(true);
  });

  test('another process writes without the index, into the session of this one', async () => {
    using opened = openStore();
    const result = await runUser(['ingest', opened.root, opened.store.session(), 'from the worker']);
    expect(result).toMatchObject({ code: 0, stdout: `${sha256('from the worker')}\n` });
    expect(opened.store.blobs.read(sha256('from the worker')).toString()).toBe('from the worker');
  });
});

describe('reading blobs', () => {
  test('a descriptor outlives the removal of the blob', () => {
    const dir = emptyDir();
    const { digest } = dir.put('content');
    const { fd, size } = dir.openRead(digest);
    dir.remove(digest);
    expect(size).toBe(7);
    expect(fs.readFileSync(fd, 'utf8')).toBe('content');
    fs.closeSync(fd);
    expect(dir.has(digest)).toBe(false);
  });

  test('only what was written here and not touched since is known to be as written', () => {
    const dir = emptyDir();
    const { digest } = dir.put('content');
    const isAsWritten = (one: BlobDir): boolean => {
      const { fd } = one.openRead(digest);
      try {
        return one.isAsWritten(digest, fd);
      } finally {
        fs.closeSync(fd);
      }
    };
    expect(isAsWritten(dir)).toBe(true);
    expect(isAsWritten(new BlobDir(dir.root))).toBe(false);
    const path = dir.path(digest);
    fs.renameSync(path, `${path}.aside`);
    fs.writeFileSync(path, 'CONTENT');
    expect(isAsWritten(dir)).toBe(false);
    fs.renameSync(`${path}.aside`, path);
    fs.chmodSync(path, 0o600);
    fs.writeFileSync(path, 'other');
    expect(isAsWritten(dir)).toBe(false);
  });

  test('a missing blob is TSB_NOT_FOUND', () => {
    expect(() => emptyDir().openRead(sha256('x'))).toThrow(expect.objectContaining({ code: 'TSB_NOT_FOUND' }));
  });

  test.each([
    ['a symbolic link', (path: string) => fs.symlinkSync('/etc/passwd', path)],
    ['a directory', (path: string) => fs.mkdirSync(path)],
    ['a FIFO', (path: string) => process.getBuiltinModule('node:child_process').execFileSync('mkfifo', [path])],
  ])('%s in its place is not read', (_name, make) => {
    const dir = emptyDir();
    const { digest } = dir.put('content');
    dir.remove(digest);
    make(dir.path(digest));
    expect(() => dir.openRead(digest)).toThrow(expect.objectContaining({ code: 'TSB_DIGEST' }));
    expect(dir.verify(digest)).toBe(false);
    expect([...dir.list()]).toEqual([]);
    dir.remove(digest);
    expect(dir.put('content').digest).toBe(digest);
    expect(dir.verify(digest)).toBe(true);
  });

  test('reading a damaged blob removes it and says so', () => {
    const dir = emptyDir();
    const { digest } = dir.put('content');
    fs.chmodSync(dir.path(digest), 0o600);
    fs.writeFileSync(dir.path(digest), 'CONTENT');
    expect(dir.peek(digest)).toBeUndefined();
    expect(() => dir.read(digest)).toThrow(/was damaged on disk and has been removed/);
    expect(dir.has(digest)).toBe(false);
  });

  test('a blob larger than asked for is not loaded', () => {
    const dir = emptyDir();
    const { digest } = dir.put('content');
    expect(() => dir.read(digest, 6)).toThrow(/7 bytes are more than 6/);
    expect(dir.has(digest)).toBe(true);
  });

  test.each([
    'sha256:abc',
    `sha256:${'g'.repeat(64)}`,
    '../../etc/passwd',
    `sha512:${'a'.repeat(128)}`,
    `sha256:../${'a'.repeat(61)}`,
  ])('the malformed digest %s never becomes a path', (digest) => {
    expect(() => emptyDir().path(digest as Digest)).toThrow(expect.objectContaining({ code: 'TSB_DIGEST' }));
  });
});
