import { describe, expect, test } from 'vitest';
import { isTsbuildError } from '../../src/util/index.ts';
import { readTar } from './support/read-tar.ts';
import { archive, content, entry, file, gnuLong, header, octal, pax, symlink } from './support/tar-vectors.ts';

/** Names, types and contents, or the message of the error. */
function read(...parts: readonly Buffer[]): string | string[] {
  try {
    return readTar(archive(...parts)).map(({ path, type, data }) =>
      `${type} ${path} ${data.toString('latin1')}`.trim(),
    );
  } catch (error) {
    if (!isTsbuildError(error, 'TSB_ARCHIVE')) throw error;
    return error.message;
  }
}

const GNU = 'ustar  \0';

// Two readers of one archive that see different files are how scanners are led astray. BuildKit's and containerd's is Go's archive/tar
// (reader.go, next and readHeader), whose answers these are.
describe('what readers may disagree about is read as Go does', () => {
  test.each<[string, Buffer[], string[]]>([
    ['the last of two PAX headers counts alone', [pax({ path: 'a' }), pax({ mtime: '1' }), file('f', 'x')], ['file f x']],
    ['the last of two PAX headers replaces a size', [pax({ size: '1024' }), pax({ path: 'a' }), file('f', 'x')], ['file a x']],
    ['the last of two long names', [gnuLong('L', 'a'), gnuLong('L', 'b'), file('f', 'x')], ['file b x']],
    ['a long name before a PAX path', [gnuLong('L', 'l'), pax({ path: 'p' }), file('f', 'x')], ['file l x']],
    ['a long name behind a PAX path', [pax({ path: 'p' }), gnuLong('L', 'l'), file('f', 'x')], ['file l x']],
    ['an empty long name', [gnuLong('L', ''), file('f', 'x')], ['file f x']],
    ['an empty long name and a PAX path', [gnuLong('L', ''), pax({ path: 'p' }), file('f', 'x')], ['file p x']],
    ['a global header ends what was said of the next entry', [pax({ path: 'p' }), pax({ x: 'y' }, 'g'), file('f', 'x')], ['file f x']],
    ['a global header ends a long name', [gnuLong('L', 'l'), pax({ x: 'y' }, 'g'), file('f', 'x')], ['file f x']],
    ['a name ends at its NUL', [file('f\0g', 'x')], ['file f x']],
    ['a long name ends at its NUL', [gnuLong('L', 'l\0m'), file('f', 'x')], ['file l x']],
    ['the prefix of a GNU header is none', [file('f', 'x', { magic: GNU, prefix: 'p' })], ['file f x']],
    ['a name without an end', [file('n'.repeat(100), 'x')], [`file ${'n'.repeat(100)} x`]],
    ['a slash at the end of an old file', [header({ name: 'd/', type: '\0' })], ['directory d/']],
    ['a PAX path with a slash at the end of an old file', [pax({ path: 'd/' }), header({ name: 'f', type: '\0' })], ['directory d/']],
    ['a slash at the end of a new file', [file('f/', 'x')], ['file f/ x']],
    ['a number with rubbish behind its NUL', [entry({ name: 'f', size: '1\0junk' }, 'x')], ['file f x']],
  ])('%s', (_what, parts, expected) => expect(read(...parts)).toEqual(expected)); // prettier-ignore

  const sparseFile = {
    'GNU.sparse.major': '0',
    'GNU.sparse.minor': '1',
    'GNU.sparse.size': '1',
    'GNU.sparse.map': '0,1',
  };
  const sparseName = { 'GNU.sparse.name': 'sparse' };
  test.each<[string, Buffer[], string[]]>([
    ['the name of a sparse file, before a long one', [gnuLong('L', 'l'), pax({ ...sparseFile, ...sparseName }), file('f', 'x')], ['file sparse x']],
    ['an empty name of a sparse file', [pax({ ...sparseFile, path: 'p', 'GNU.sparse.name': '' }), file('f', 'x')], ['file p x']],
  ])('%s', (_what, parts, expected) => expect(read(...parts)).toEqual(expected)); // prettier-ignore

  // Else an old directory's size hides the entries behind it, or shows what is content to others.
  test.each(['\0', '5'])('a directory of type %j has no content, whatever its size says', (type) => {
    const hidden = header({ name: 'hidden' });
    expect(read(header({ name: 'd/', type, size: 512 }), hidden)).toEqual(['directory d/', 'file hidden']);
    expect(read(pax({ path: 'd/' }), header({ name: 'x', type: '\0', size: 512 }), hidden)).toEqual([
      'directory d/',
      'file hidden',
    ]);
  });

  test('an empty long link leaves the target alone', () => {
    const tar = archive(gnuLong('K', ''), symlink('s', 'target'));
    expect(readTar(tar)[0]?.linkPath).toBe('target');
  });
});

describe('old GNU sparse files', () => {
  const region = (offset: number, length: number): Buffer => Buffer.from(octal(offset, 11) + octal(length, 11));
  const sparse = (isExtended: number, magic = GNU): Buffer =>
    header({
      name: 's',
      type: 'S',
      magic,
      size: 1024,
      raw: [
        [386, region(0, 512)],
        [482, Buffer.from([isExtended])],
        [483, Buffer.from(octal(1024, 11))],
      ],
    });
  const more = Buffer.concat([region(512, 512), Buffer.alloc(512 - 24)]);

  // GNU tar and Go take any byte but NUL for "more regions follow". A reader that takes 1 alone sees content where they see a map.
  test.each([1, 2, 0x31, 0xff])('go on in a block of their own after byte %i', (byte) => {
    const data = content(Buffer.concat([Buffer.alloc(512, 0x61), Buffer.alloc(512, 0x62)]));
    const entries = readTar(archive(sparse(byte), more, data, file('next', 'n')));
    expect(entries.map(({ path, size }) => [path, size])).toEqual([
      ['s', 1024],
      ['next', 1],
    ]);
    expect(entries[0]?.data.toString()).toBe('a'.repeat(512) + 'b'.repeat(512));
  });

  test.each(['ustar\u000000', '\0\0\0\0\0\0\0\0'])('are of GNU headers only, not of %j', (magic) => {
    expect(read(sparse(0, magic), content(Buffer.alloc(1024)))).toContain('Cannot read archive entry "s": ');
  });
});
