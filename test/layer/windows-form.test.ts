import { execFileSync } from 'node:child_process';
import { linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { diffLayer, type LayerEntry, writeLayerFromEntries } from '../../src/layer/index.ts';
import { applyLayer } from './support/apply-layer.ts';
import { setXattr } from '../../src/sys/index.ts';
import { isTsbuildError } from '../../src/util/index.ts';
import { MemorySink } from './support/memory-sink.ts';
import { readTar } from './support/read-tar.ts';
import { archive, dir, file, hardlink, pax, symlink } from './support/tar-vectors.ts';
import { describeTree } from './support/trees.ts';

let work: string;
beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'tsbuild-windows-'));
});
afterEach(() => rmSync(work, { recursive: true }));

const newDir = (name: string): string => {
  mkdirSync(join(work, name));
  return join(work, name);
};

async function write(entries: readonly LayerEntry[], clampTime?: number): Promise<Buffer> {
  const sink = new MemorySink();
  await writeLayerFromEntries(entries, sink, { compression: { kind: 'none' }, windows: true, clampTime });
  return sink.bytes;
}

async function unpack(tar: Buffer, target: string, lowers: readonly string[] = []): Promise<string[]> {
  await applyLayer({ blob: [tar], compression: 'none', target, lowers, idShift: 0, windows: true });
  return describeTree(target, { times: 's' });
}

/** Python's view of an archive: name, type, raw mode, link and PAX records, but for the security descriptors. */
function members(tar: Buffer): unknown {
  const path = join(work, 'layer.tar');
  writeFileSync(path, tar);
  const script = `
import sys, tarfile, json
rows = []
with tarfile.open(sys.argv[1]) as t:
    for m in t:
        t.fileobj.seek(m.offset_data - 512)
        mode = t.fileobj.read(512)[100:107].decode()
        sd = m.pax_headers.pop("MSWINDOWS.rawsd", None)
        rows.append([m.name, m.type.decode(), mode, m.linkname, m.pax_headers, sd and len(sd)])
print(json.dumps(rows))`;
  return JSON.parse(execFileSync('/usr/bin/python3', ['-c', script, path], { encoding: 'utf8' }));
}

const records = (time: string, fileattr?: string): Record<string, string> => ({
  'LIBARCHIVE.creationtime': time,
  ...(fileattr === undefined ? {} : { 'MSWINDOWS.fileattr': fileattr }),
});

test('files and directories are below Files, with attributes and a security descriptor', async () => {
  const tar = await write(
    [
      { path: '.wh.gone', type: 'file' },
      { path: 'd', type: 'directory', mode: 0o755, mtime: { sec: 5 } },
      { path: 'd/f', type: 'file', mode: 0o4644, mtime: { sec: 2000 }, content: Buffer.from('x') },
      { path: 'd/g', type: 'hardlink', mode: 0o4644, mtime: { sec: 6 }, linkPath: 'd/f' },
      { path: 'd/l', type: 'symlink', mode: 0o777, mtime: { sec: 6 }, linkPath: 'f' },
    ],
    1000,
  );
  // What BuildKit's layers hold; names of directories end in slashes that Python does not show.
  expect(members(tar)).toEqual([
    ['Hives', '5', '0040000', '', records('0.0', '16'), null],
    ['Files', '5', '0040000', '', records('0.0', '16'), null],
    ['Files/.wh.gone', '0', '0100000', '', records('0.0', '32'), 168],
    ['Files/d', '5', '0040755', '', records('5.0', '16'), 288],
    ['Files/d/f', '0', '0104644', '', records('1000.0', '32'), 168],
    ['Files/d/g', '1', '0004644', 'Files/d/f', records('6.0'), null],
    ['Files/d/l', '2', '0000777', 'f', records('6.0'), null],
  ]);
});

test('the security descriptors give rights to administrators, the system and users', async () => {
  const tar = await write([
    { path: 'd', type: 'directory' },
    { path: 'f', type: 'file' },
  ]);
  const descriptors = [...tar.toString('latin1').matchAll(/MSWINDOWS\.rawsd=(\S+)\n/g)].map(([, text = '']) =>
    Buffer.from(text, 'base64'),
  );
  const aces = descriptors.map((sd) => {
    // SECURITY_DESCRIPTOR and ACL of MS-DTYP: the offset of the DACL is at 16, its number of entries 4 bytes into it.
    const dacl = sd.readUInt32LE(16);
    const found: string[] = [];
    for (let at = dacl + 8; found.length < sd.readUInt16LE(dacl + 4); at += sd.readUInt16LE(at + 2)) {
      const flags = sd[at + 1] ?? 0;
      found.push(`${sd[at]} ${flags} ${sd.readUInt32LE(at + 4).toString(16)} ${sd.readUInt32LE(at + 16)}`);
    }
    return found;
  });
  // Type, inheritance, access mask, first subauthority: 32 is BUILTIN, 18 the system, 0 CREATOR OWNER.
  expect(aces).toEqual([
    ['0 3 1f01ff 32', '0 3 1f01ff 18', '0 0 1f01ff 32', '0 11 10000000 0', '0 3 1200a9 32', '0 2 4 32', '0 2 2 32'],
    ['0 0 1f01ff 32', '0 0 1f01ff 18', '0 0 1200a9 32'],
  ]);
});

test('only the tree below Files is unpacked, hostile names stay in it', async () => {
  const windows = {
    'MSWINDOWS.fileattr': '32',
    'MSWINDOWS.rawsd': 'AQAEgA==',
    'SCHILY.xattr.MSWINDOWS.fileattr': '32',
  };
  const tar = archive(
    dir('Hives', { mode: '0040000\0' }),
    file('Hives/System_Delta', 'registry'),
    dir('Files', { mode: '0040000\0' }),
    pax(windows),
    file('Files/a', 'content', { mode: '0100644\0' }),
    hardlink('Files/b', 'Files/a'),
    symlink('Files/l', 'Files/a'),
    symlink('Files/m', 'a'),
    file('UtilityVM/Files/x', 'x'),
    file('top', 'x'),
    file('Files/../../out', 'x'),
    file('Files2', 'x'),
  );
  const target = newDir('target');
  expect(await unpack(tar, target)).toEqual([
    'a 10 644 0:0 0 ed7002b439e9 same as none',
    'b 10 644 0:0 0 ed7002b439e9 same as a',
    'l 12 777 0:0 0 -> a',
    'm 12 777 0:0 0 -> a',
  ]);
  expect(readdirSync(work)).toEqual(['target']);
  const outward = archive(hardlink('Files/x', '../../etc/passwd'));
  const error: unknown = await unpack(outward, newDir('other')).catch((caught: unknown) => caught);
  expect(isTsbuildError(error, 'TSB_ARCHIVE')).toBe(true);
});

test('a diff names what an opaque directory hides, since Windows knows no such mark', async () => {
  const [lower, upper, again] = [newDir('lower'), newDir('upper'), newDir('again')];
  for (const path of ['d/sub', 'd/gone/deep', 'e']) mkdirSync(join(lower, path), { recursive: true });
  for (const path of ['d/old', 'd/both', 'd/sub/old', 'd/gone/deep/f', 'e/f']) writeFileSync(join(lower, path), path);
  mkdirSync(join(upper, 'd/sub'), { recursive: true });
  setXattr(join(upper, 'd'), 'user.overlay.opaque', 'y');
  writeFileSync(join(upper, 'd/both'), 'new');
  writeFileSync(join(upper, 'd/sub/new'), 'new');
  linkSync(join(upper, 'd/sub/new'), join(upper, 'd/z'));
  symlinkSync('Files/here', join(upper, 'l'));
  for (const path of ['d/both', 'd/sub/new']) utimesSync(join(upper, path), 9, 9);
  const sink = new MemorySink();
  const options = { upper, lowers: [lower], idShift: 0, compression: { kind: 'none' } } as const;
  await diffLayer({ ...options, sink, windows: true });
  expect(readTar(sink.bytes).map(({ path, linkPath }) => (linkPath === '' ? path : `${path} -> ${linkPath}`))).toEqual([
    'Hives/',
    'Files/',
    'Files/d/',
    'Files/d/.wh.gone',
    'Files/d/.wh.old',
    'Files/d/both',
    'Files/d/sub/',
    'Files/d/sub/.wh.old',
    'Files/d/sub/new',
    'Files/d/z -> Files/d/sub/new',
    'Files/l -> ./Files/here',
  ]);
  const shown = (await unpack(sink.bytes, again, [lower])).filter((line) => !/ 2 .* 0,0$/.test(line));
  expect(shown.map((line) => line.replace(/ \d+ \d+ 0:0 \d+/, ''))).toEqual([
    'd',
    'd/both 11507a0e2f5e',
    'd/sub',
    'd/sub/new 11507a0e2f5e same as none',
    'd/z 11507a0e2f5e same as d/sub/new',
    'l -> ./Files/here',
  ]);
});
