import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FileBatch, fileBatch, openFileBatch, setXattr, STATE_WORDS } from '../../src/sys/index.ts';
import { getState, lookUp, putState, stateRows, toHostStat } from '../../src/tree/index.ts';
import { projectRoot } from '../support/program.ts';
import { TempDir } from '../tree/support.ts';

const bytes = (...names: readonly string[]): Buffer => Buffer.from(names.map((name) => `${name}\0`).join(''));

describe('many files at once', () => {
  const batch = fileBatch() as FileBatch;
  let dir: TempDir;
  beforeEach(() => {
    dir = new TempDir();
  });
  afterEach(() => dir[Symbol.dispose]());

  /** The states that files have now. */
  const rowsOf = (paths: readonly string[]): Uint32Array => {
    const rows = stateRows(paths.length);
    for (const [row, path] of paths.entries()) putState(rows, row, toHostStat(fs.lstatSync(path, { bigint: true })));
    return rows;
  };
  const write = (name: string, content: string): string => {
    dir.write(name, content);
    return `${dir.path}/${name}`;
  };
  const read = (paths: readonly string[], rows: Uint32Array, room = Buffer.alloc(1 << 16)) => {
    const lengths = new Int32Array(paths.length);
    const count = batch.read(bytes(...paths), rows, room, lengths);
    let at = 0;
    const contents = [...lengths.subarray(0, count)].map((length) =>
      length < 0 ? undefined : room.toString('latin1', at, (at += length)),
    );
    return { count, contents };
  };

  test('each is read as it is, one after the other', () => {
    const paths = [write('a', 'one'), write('b', ''), write('c', 'x'.repeat(5000)), write('ä', 'umlaut')];
    expect(read(paths, rowsOf(paths))).toEqual({ count: 4, contents: ['one', '', 'x'.repeat(5000), 'umlaut'] });
  });

  test('what is in another state than it should be is left out, and the others are not', () => {
    const names = ['same', 'longer', 'shorter', 'touched', 'gone', 'link', 'directory', 'other'];
    const paths = names.map((name) => write(name, 'text'));
    const rows = rowsOf(paths);
    const at = (name: string): string => `${dir.path}/${name}`;
    fs.appendFileSync(at('longer'), 'more');
    fs.truncateSync(at('shorter'), 2);
    fs.utimesSync(at('touched'), 1, 1);
    for (const name of ['gone', 'link', 'directory']) fs.rmSync(at(name));
    fs.symlinkSync('same', at('link'));
    fs.mkdirSync(at('directory'));
    fs.renameSync(at('other'), at('moved'));
    fs.copyFileSync(at('moved'), at('other'));
    expect(read(paths, rows).contents).toEqual(['text', ...names.slice(1).map(() => undefined)]);
  });

  test('nothing is waited for, and nothing but regular files of the state that is asked for is read', () => {
    const fifo = `${dir.path}/fifo`;
    execFileSync('mkfifo', [fifo]);
    const paths = [fifo, '/dev/zero'];
    // A size is asked for that neither has, as where they came into a file's place.
    const rows = rowsOf(paths);
    for (const row of paths.keys()) rows[row * STATE_WORDS + 1] = 10;
    expect(read(paths, rows).contents).toEqual([undefined, undefined]);
  });

  test('as many are read as there is room for, and what never fits is left out', () => {
    const paths = [write('a', 'x'.repeat(60)), write('b', 'y'.repeat(60)), write('c', 'z'.repeat(100))];
    const rows = rowsOf(paths);
    const room = Buffer.alloc(100);
    expect(read(paths, rows, room)).toEqual({ count: 1, contents: ['x'.repeat(60)] });
    expect(read(paths.slice(1), rows.subarray(STATE_WORDS), room)).toEqual({ count: 1, contents: ['y'.repeat(60)] });
    expect(read(paths.slice(2), rows.subarray(2 * STATE_WORDS), room)).toEqual({ count: 1, contents: [undefined] });
  });

  test.skipIf(process.getuid?.() !== 0)('files with capabilities are left out', () => {
    const paths = [write('a', 'one'), write('b', 'two')];
    // cap_net_bind_service=ep: struct vfs_cap_data of linux/capability.h, revision 2.
    const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
    setXattr(paths[1] ?? '', 'security.capability', capability);
    expect(read(paths, rowsOf(paths)).contents).toEqual(['one', undefined]);
  });

  test('states are those of the names themselves, or none', () => {
    write('f', 'text');
    dir.link('f', 'link');
    const fd = fs.openSync(dir.path, fs.constants.O_RDONLY);
    try {
      const rows = stateRows(4).fill(7);
      expect(batch.look(fd, bytes('f', 'missing', 'link', 'f/below'), rows)).toBe(0);
      const states = ['f', 'link'].map((name) => toHostStat(fs.lstatSync(`${dir.path}/${name}`, { bigint: true })));
      expect([0, 1, 2, 3].map((row) => getState(rows, row))).toEqual([states[0], undefined, states[1], undefined]);
      expect(rows).toEqual(lookUp(fd, ['f', 'missing', 'link', 'f/below']));
      // ENAMETOOLONG
      expect(batch.look(fd, bytes('x'.repeat(256)), stateRows(1))).toBe(36);
      expect(batch.look(-1, bytes('f'), stateRows(1))).toBe(9);
    } finally {
      fs.closeSync(fd);
    }
  });

  test('what does not fit together is refused, and nothing is read beyond its end', () => {
    const room = Buffer.alloc(10);
    const wrong: (() => unknown)[] = [
      () => batch.look(0, Buffer.from('unended'), stateRows(1)),
      () => batch.look(0, bytes('a'), stateRows(2)),
      () => batch.look(0, bytes('a', ''), stateRows(2)),
      () => batch.look(0, bytes('a'), new Uint8Array(64) as unknown as Uint32Array),
      () => batch.read(bytes('/a'), stateRows(1), room, new Int32Array(2)),
      () => batch.read(Buffer.from('/a'), stateRows(1), room, new Int32Array(1)),
      () => batch.read(bytes('/a'), stateRows(2), room, new Int32Array(2)),
      () => (batch.read as (...args: unknown[]) => number)(bytes('/a')),
    ];
    for (const call of wrong) expect(call).toThrow(TypeError);
  });
});

test('an add-on that others could change, or that is none, is not loaded', () => {
  using dir = new TempDir();
  const place = `dist/native/linux-${process.arch}/tsbuild-files.node`;
  dir.write('package.json', '{}');
  expect(openFileBatch(dir.path)).toBeUndefined();
  const file = dir.write(place);
  fs.copyFileSync(`${projectRoot}/${place}`, file);
  expect(openFileBatch(dir.path)).toBeDefined();
  fs.chmodSync(file, 0o757);
  expect(openFileBatch(dir.path)).toBeUndefined();
  // Elsewhere: what was loaded from a path once is what the dynamic linker gives again.
  using other = new TempDir();
  other.write('package.json', '{}');
  other.write(place, 'no program');
  expect(openFileBatch(other.path)).toBeUndefined();
});
