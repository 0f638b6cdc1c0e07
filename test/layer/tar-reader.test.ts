import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toByteString } from '../../src/tree/index.ts';
import { isTsbuildError } from '../../src/util/index.ts';
import { readTar } from './support/read-tar.ts';
import {
  archive,
  base256,
  content,
  dir,
  END,
  entry,
  file,
  gnuLong,
  hardlink,
  header,
  octal,
  pax,
  record,
  symlink,
} from './support/tar-vectors.ts';

/** Names and sizes, or the message of the error. */
function list(tar: Buffer): string | string[] {
  try {
    return readTar(tar).map((found) => `${found.path} ${found.size}`);
  } catch (error) {
    if (!isTsbuildError(error, 'TSB_ARCHIVE')) throw error;
    return error.message;
  }
}

const big = (size: bigint): Buffer => base256(size, 12);
const id = (value: bigint): Buffer => base256(value, 8);

describe('formats', () => {
  test('ustar with prefix, v7, GNU long names, PAX, in chunks of any size', () => {
    const long = `${'d'.repeat(90)}/${'f'.repeat(150)}`;
    const tar = archive(
      file('name', 'ustar', { prefix: 'prefix/dir' }),
      file('v7', 'v7', { magic: '\0\0\0\0\0\0\0\0', type: '\0' }),
      header({ name: 'v7dir/', type: '\0', magic: '\0\0\0\0\0\0\0\0' }),
      gnuLong('L', long),
      file(long.slice(0, 100), 'gnu', { magic: 'ustar  \0', prefix: 'not a prefix' }),
      gnuLong('K', `${long}/target`),
      symlink('link', long.slice(0, 100)),
      pax({
        path: toByteString('pax/ä'),
        mtime: '-1.25',
        uid: '3000000000',
        'SCHILY.xattr.user.a': Buffer.from([0, 10, 255]),
      }),
      file('short', 'pax'),
      hardlink('hard', 'name'),
      dir('d/'),
    );
    const whole = readTar(tar);
    expect(whole.map((found) => [found.path, found.type, found.data.toString()])).toEqual([
      ['prefix/dir/name', 'file', 'ustar'],
      ['v7', 'file', 'v7'],
      ['v7dir/', 'directory', ''],
      [long, 'file', 'gnu'],
      ['link', 'symlink', ''],
      [toByteString('pax/ä'), 'file', 'pax'],
      ['hard', 'hardlink', ''],
      ['d/', 'directory', ''],
    ]);
    expect(whole[4]?.linkPath).toBe(`${long}/target`);
    expect(whole[5]).toMatchObject({ mtime: { sec: -2, nsec: 750_000_000 }, uid: 3_000_000_000 });
    expect(whole[5]?.xattrs?.get('user.a')).toEqual(Buffer.from([0, 10, 255]));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1100 }), (size) => {
        expect(readTar(tar, size)).toEqual(whole);
      }),
      { numRuns: 30 },
    );
  });

  test('a star prefix is shorter than that of ustar', () => {
    const tar = archive(
      file('name', '', {
        prefix: 'p',
        raw: [
          [476, Buffer.from('atime')],
          [508, Buffer.from('tar\0')],
        ],
      }),
    );
    expect(list(tar)).toEqual(['p/name 0']);
  });

  test('names are bytes', () => {
    const name = Buffer.from([0x61, 0xff, 0x0a, 0x1b, 0x5c]);
    expect(readTar(archive(file(name)))[0]?.path).toBe(name.toString('latin1'));
  });
});

describe('TAR-18, TAR-19: sizes that two readers might see differently', () => {
  test('a PAX size is for the next file, not for a header in between', () => {
    const tar = archive(
      pax({ size: '2048' }),
      gnuLong('L', 'longname.txt'),
      header({ name: 'file_a', size: 1 }),
      content(Buffer.concat([Buffer.alloc(512, 0x41), header({ name: 'file_b', size: 512 }), Buffer.alloc(1024)])),
    );
    expect(list(tar)).toEqual(['longname.txt 2048']);
  });

  test('the members of an archive within a file are not members', () => {
    const inner = archive(file('inner', 'x'));
    expect(list(archive(pax({ size: String(inner.length) }), header({ name: 'outer', size: 0 }), inner))).toEqual([
      `outer ${inner.length}`,
    ]);
  });

  test('links and directories have no content, whatever their size says', () => {
    expect(list(archive(hardlink('h', 'x'), header({ name: 'd/', type: '5', size: 512 }), file('f', 'f')))).toEqual([
      'h 0',
      'd/ 0',
      'f 1',
    ]);
  });
});

describe('TAR-20, TAR-21: PAX records', () => {
  const records = (data: string | Buffer): Buffer => archive(pax(Buffer.from(data)), file('f'));
  test.each<[string, Buffer, string | string[]]>([
    ['path with NUL', archive(pax({ path: 'a\0b' }), file('f')), 'the PAX record "path" contains a NUL byte'],
    ['numeric path', archive(pax({ path: '12345' }), file('f')), ['12345 0']],
    ['empty path', archive(pax({ path: '' }), file('f')), ['f 0']],
    ['two paths', archive(pax(Buffer.concat([record('path', 'a'), record('path', 'b')])), file('f')), ['b 0']],
    ['length 0', records('0 path=a\n'), 'a PAX record has a wrong length'],
    ['huge length', records('9999999999 path=a\n'), 'a PAX record has a wrong length'],
    ['length too small', records('9 path=ab\n'), 'a PAX record does not end in a newline'],
    ['length too large', records('12 path=ab\n'), 'a PAX record has a wrong length'],
    ['no newline', records('9 path=ab'), 'a PAX record does not end in a newline'],
    ['no equals sign', records('6 pat\n'), 'a PAX record has no "="'],
    ['no key', records('5 =a\n'), 'a PAX record has no valid key'],
    ['not UTF-8', archive(pax({ path: Buffer.from([0xff, 0x61]) }), file('f')), ['ÿa 0']],
    ['linkpath only', archive(pax({ linkpath: 'x' }), file('f')), ['f 0']],
    ['as many as there is room for', records(record('a', 'b').toString().repeat(150_000)), ['f 0']],
    ['hdrcharset', archive(pax({ hdrcharset: 'BINARY', path: Buffer.from([0xff]) }), file('f')), ['ÿ 0']],
    ['negative size', archive(pax({ size: '-1' }), file('f')), 'the PAX size is malformed or too large'],
    [
      'size beyond 2^53',
      archive(pax({ size: '9007199254740993' }), file('f')),
      'the PAX size is malformed or too large',
    ],
    ['uid not a number', archive(pax({ uid: 'root' }), file('f')), 'the PAX uid is malformed or too large'],
    ['mtime not a number', archive(pax({ mtime: 'now' }), file('f')), 'the PAX mtime is malformed or too large'],
    [
      'global header',
      archive(pax({ path: 'g', linkpath: 'g', size: '512', uid: '7' }, 'g'), file('f'), file('h')),
      ['f 0', 'h 0'],
    ],
    ['nothing after it', archive(pax({ path: 'x' })), 'an extended header is followed by no entry'],
  ])('%s', (_name, tar, expected) => {
    if (typeof expected === 'string') expect(list(tar)).toContain(expected);
    else expect(list(tar)).toEqual(expected);
  });
});

describe('TAR-22: numbers', () => {
  const f = (fields: Parameters<typeof header>[0]): Buffer => archive(header({ name: 'f', ...fields }));
  test.each<[string, Buffer, string]>([
    ['size -1', f({ size: big(-1n) }), 'the size is negative'],
    ['size 2^63', f({ size: big(2n ** 63n) }), 'malformed or too large'],
    ['size 2^53 + 1', f({ size: big(2n ** 53n + 1n) }), 'malformed or too large'],
    ['uid 2^32', f({ uid: id(2n ** 32n) }), 'owner 4294967296:0 is out of range'],
    ['uid -1', f({ uid: id(-1n) }), 'owner -1:0 is out of range'],
    ['gid 2^32 - 1', f({ gid: id(2n ** 32n - 1n) }), 'owner 0:4294967295 is out of range'],
    ['mtime -2^62', f({ mtime: big(-(2n ** 62n)) }), 'malformed or too large'],
    ['mtime 2^53 + 1', f({ mtime: big(2n ** 53n + 1n) }), 'malformed or too large'],
    ['devmajor 2^32', f({ type: '3', major: id(2n ** 32n) }), 'the device number is out of range'],
    ['octal with a gap', f({ size: '0000000 0\0\0\0' }), 'malformed or too large'],
    ['octal with letters', f({ mtime: '0000000000x\0' }), 'malformed or too large'],
    ['decimal digit', f({ mode: '0000684\0' }), 'malformed or too large'],
  ])('%s is rejected', (_name, tar, message) => {
    expect(list(tar)).toContain(message);
  });

  test('base-256 and blanks', () => {
    const tar = archive(
      header({
        name: 'f',
        uid: id(3_000_000_000n),
        mtime: big(-5n),
        size: `${' '.repeat(10)}0\0`,
        gid: '\0\0\0\0\0\0\0\0',
      }),
    );
    expect(readTar(tar)[0]).toMatchObject({ uid: 3_000_000_000, gid: 0, size: 0, mtime: { sec: -5, nsec: 0 } });
  });

  test('a bad checksum', () => {
    const tar = archive(file('first'), file('second'));
    tar[512 + 10] = 1;
    expect(list(tar)).toBe('Cannot read archive entry "first": after it, the header checksum is wrong');
  });

  test('a checksum over signed bytes, of old writers', () => {
    const block = header({ name: Buffer.from([0xff]) });
    let sum = 0;
    block.fill(0x20, 148, 156);
    for (const byte of block) sum += byte > 127 ? byte - 256 : byte;
    block.write(octal(sum, 6), 148, 'latin1');
    expect(list(archive(block))).toEqual(['ÿ 0']);
  });
});

describe('TAR-23: sparse files', () => {
  const data = Buffer.concat([Buffer.alloc(512, 0x61), Buffer.alloc(512, 0x62)]);
  const wanted = Buffer.alloc(6144);
  wanted.fill(0x61, 1024, 1536).fill(0x62, 4096, 4608);
  const old = (
    regions: ReadonlyArray<readonly [number, number]>,
    realSize: number,
    extended = false,
  ): ReadonlyArray<readonly [number, Buffer]> => [
    ...regions.map(
      ([offset, length], index) => [386 + index * 24, Buffer.from(octal(offset, 11) + octal(length, 11))] as const,
    ),
    [482, Buffer.from([extended ? 1 : 0])],
    [483, Buffer.from(octal(realSize, 11))],
  ];
  const map10 = (numbers: readonly number[]): Buffer => content(`${numbers.join('\n')}\n`);
  const pax10 = {
    'GNU.sparse.major': '1',
    'GNU.sparse.minor': '0',
    'GNU.sparse.name': 'sparse',
    'GNU.sparse.realsize': '6144',
  };

  test.each<[string, Buffer]>([
    [
      'old GNU',
      entry(
        {
          name: 'sparse',
          type: 'S',
          magic: 'ustar  \0',
          raw: old(
            [
              [1024, 512],
              [4096, 512],
              [6144, 0],
            ],
            6144,
          ),
        },
        data,
      ),
    ],
    [
      'old GNU with extension',
      Buffer.concat([
        header({
          name: 'sparse',
          type: 'S',
          magic: 'ustar  \0',
          size: 1024,
          raw: old(
            [
              [0, 0],
              [0, 0],
              [1024, 256],
              [1280, 256],
            ],
            6144,
            true,
          ),
        }),
        Buffer.concat([Buffer.from(octal(4096, 11) + octal(512, 11)), Buffer.alloc(512 - 24)]),
        data,
      ]),
    ],
    [
      'PAX 0.0',
      Buffer.concat([
        pax(
          Buffer.concat([
            record('GNU.sparse.size', '6144'),
            record('GNU.sparse.numblocks', '2'),
            ...[1024, 4096].flatMap((offset) => [
              record('GNU.sparse.offset', String(offset)),
              record('GNU.sparse.numbytes', '512'),
            ]),
          ]),
        ),
        file('sparse', data),
      ]),
    ],
    [
      'PAX 0.1',
      Buffer.concat([
        pax({
          'GNU.sparse.size': '6144',
          'GNU.sparse.numblocks': '2',
          'GNU.sparse.map': '1024,512,4096,512',
          'GNU.sparse.name': 'sparse',
        }),
        file('GNUSparseFile.1/sparse', data),
      ]),
    ],
    [
      'PAX 1.0',
      Buffer.concat([
        pax(pax10),
        file('GNUSparseFile.1/sparse', Buffer.concat([map10([2, 1024, 512, 4096, 512]), data])),
      ]),
    ],
  ])('%s', (_name, part) => {
    for (const chunk of [100, 512, 100_000]) {
      const [found, next] = readTar(archive(part, file('next')), chunk);
      expect(found).toMatchObject({ path: 'sparse', size: 6144, type: 'file' });
      expect(found?.data.equals(wanted)).toBe(true);
      expect(next?.path).toBe('next');
    }
  });

  const sparse01 = (map: string, size = '6144'): Buffer =>
    archive(pax({ 'GNU.sparse.size': size, 'GNU.sparse.map': map }), file('f', data));
  test.each<[string, Buffer, string]>([
    ['overlapping regions', sparse01('0,600,500,424'), 'regions out of order'],
    ['regions beyond the end', sparse01('6000,1024'), 'regions out of order'],
    ['negative numbers', sparse01('-1,1024'), 'malformed'],
    ['too little data', sparse01('0,512'), 'does not match the stored data'],
    ['an odd map', sparse01('0'), 'malformed'],
    ['a size of 8 EiB', sparse01('0,1024', String(2n ** 63n)), 'no valid size'],
    [
      'ten million regions',
      archive(pax(pax10), header({ name: 'f', size: 10 ** 9 }), map10([10 ** 7, 0])),
      'too many regions',
    ],
    ['an unending map', archive(pax(pax10), file('f', Buffer.alloc(4096, 0x31))), 'malformed'],
    ['a map larger than the data', archive(pax(pax10), file('f', map10([300]))), 'larger than the stored data'],
    [
      'an unknown version',
      archive(pax({ ...pax10, 'GNU.sparse.major': '2' }), file('f')),
      'the sparse format is unknown',
    ],
    ['no file', archive(pax({ 'GNU.sparse.size': '1', 'GNU.sparse.map': '' }), dir('d')), 'is no file'],
  ])('%s', (_name, tar, message) => {
    expect(list(tar)).toContain(message);
  });
});

describe('TAR-24: extended headers without measure', () => {
  test.each<[string, Buffer, string]>([
    ['PAX of 2 GiB', archive(header({ name: 'p', type: 'x', size: 2 ** 31 })), 'larger than 1 MiB'],
    ['GNU L of 1 GiB', archive(header({ name: 'p', type: 'L', size: 2 ** 30 })), 'larger than 1 MiB'],
    [
      'a chain of headers',
      archive(...Array.from({ length: 20 }, () => gnuLong('L', 'x')), file('f')),
      'too many extended headers',
    ],
    ['global headers', archive(...Array.from({ length: 10_001 }, () => pax({}, 'g'))), 'too many global headers'],
  ])('%s', (_name, tar, message) => {
    expect(list(tar)).toContain(message);
  });

  test('a hundred thousand records in one header are read in linear time', () => {
    const one = record('a', '');
    const tar = archive(pax(Buffer.concat(Array.from({ length: 100_000 }, () => one))), file('f'));
    expect(list(tar)).toEqual(['f 0']);
  });
});

describe('TAR-27, TAR-29, TAR-36: ends and types', () => {
  test.each<[string, Buffer, string | string[]]>([
    ['a second archive behind the end', Buffer.concat([archive(file('a')), archive(file('b'))]), ['a 0']],
    [
      'a lone zero block',
      Buffer.concat([file('a'), Buffer.alloc(512), archive(file('b'))]),
      'a lone zero block stands before an entry',
    ],
    ['no end marker', file('a'), ['a 0']],
    ['half an end marker', Buffer.concat([file('a'), Buffer.alloc(512)]), ['a 0']],
    ['nothing at all', Buffer.alloc(0), []],
    ['rubbish behind the end', Buffer.concat([file('a'), END, Buffer.alloc(100, 1)]), ['a 0']],
    ['type Z', archive(file('a', '', { type: 'Z' })), 'its type "Z" is unknown'],
    ['type M', archive(file('a', '', { type: 'M' })), 'its type "M" is unknown'],
    ['type N', archive(file('a', '', { type: 'N' })), 'its type "N" is unknown'],
    ['a contiguous file', archive(file('a', 'x', { type: '7' })), ['a 1']],
    ['no archive', Buffer.alloc(2048, 0x41), 'Cannot read the archive: the header checksum is wrong'],
  ])('%s', (_name, tar, expected) => {
    expect(list(tar)).toEqual(typeof expected === 'string' ? expect.stringContaining(expected) : expected);
  });

  test('cut off anywhere within an entry', () => {
    const tar = Buffer.concat([pax({ path: 'long' }), file('f', Buffer.alloc(700)), END]);
    const whole = 512 * 2 + 512 + 1024;
    for (let end = 1; end < whole; end += 13) expect(list(tar.subarray(0, end))).toContain('the archive is cut off');
  });

  test('random damage never gives anything but an error of the right kind', () => {
    const tar = archive(
      pax({ path: 'x', size: '3' }),
      file('f', 'abc'),
      gnuLong('L', 'l'),
      symlink('s', 't'),
      dir('d'),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(tar.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 }), (damage) => {
        const bad = Buffer.from(tar);
        for (const [at, value] of damage) bad[at] = value;
        // A checksum that is made right again lets the damage through to the parsers behind it.
        for (let at = 0; at + 512 <= bad.length; at += 512) {
          bad.fill(0x20, at + 148, at + 156);
          const sum = bad.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
          if (sum > 8 * 0x20) bad.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
          else bad.fill(0, at + 148, at + 156);
        }
        list(bad);
      }),
      { numRuns: 500 },
    );
  });
});
