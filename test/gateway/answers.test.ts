import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { frontendEnvironment } from '../../src/gateway/environment.ts';
import type { FileTree, TreeStat } from '../../src/gateway/file-tree.ts';
import { listDirectory, readFile, statFile } from '../../src/gateway/files.ts';
import { frontendFailure } from '../../src/gateway/returned-error.ts';
import { toPlatform } from '../../src/gateway/sources.ts';
import { toPbStat } from '../../src/gateway/stat.ts';
import { CallError, encodeStatusMessage, statusCodes, statusOfError } from '../../src/gateway/status.ts';
import { toWarning } from '../../src/gateway/warning.ts';
import { hostPlatform } from '../../src/image/index.ts';
import { formatSourceExcerpt, TsbuildError } from '../../src/util/index.ts';
import { processorTime } from '../support/processor-time.ts';

const { signal } = new AbortController();
const stat = (name: string, type: TreeStat['type'], mode = 0o644, more: Partial<TreeStat> = {}): TreeStat => ({
  name,
  type,
  mode,
  uid: 1,
  gid: 2,
  size: 3,
  mtimeNs: 4n,
  ...more,
});

describe('what a call is answered with', () => {
  test.each<[unknown, number, string]>([
    [new TsbuildError('TSB_NOT_FOUND', 'gone'), 5, 'gone'],
    [new TsbuildError('TSB_LLB', 'bad'), 3, 'bad'],
    [new TsbuildError('TSB_DOCKERFILE', 'bad'), 3, 'bad'],
    [new TsbuildError('TSB_USAGE', 'bad'), 3, 'bad'],
    [new TsbuildError('TSB_PERMISSION', 'no'), 7, 'no'],
    [new TsbuildError('TSB_CANCELED', 'stop'), 1, 'stop'],
    [new TsbuildError('TSB_TIMEOUT', 'late'), 4, 'late'],
    [new TsbuildError('TSB_INTERNAL', 'oh'), 13, 'oh'],
    [new TsbuildError('TSB_POLICY', 'denied'), 2, 'denied'],
    [new Error('any'), 2, 'any'],
    ['a text', 2, 'a text'],
  ])('%s', (error, status, message) => {
    expect(statusOfError(error)).toMatchObject({ status, message });
  });

  test('one that is a status already is itself', () => {
    const error = new CallError(statusCodes.outOfRange, 'x');
    expect(statusOfError(error)).toBe(error);
  });

  test.each([
    ['plain text', 'plain text'],
    ['100%', '100%25'],
    ['a\nb\r\0', 'a%0Ab%0D%00'],
    ['ä', '%C3%A4'],
    ['\u{1f600}', '%F0%9F%98%80'],
    ['\u007f', '%7F'],
    ['\ud800', '%EF%BF%BD'],
    ['~ !', '~ !'],
  ])('message %j is %j in a header', (message, header) => expect(encodeStatusMessage(message)).toBe(header));

  test('any message is a header of limited length that says it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 6000 }), (message) => {
        const header = encodeStatusMessage(message);
        expect(header).toMatch(/^[\x20-\x7e]*$/);
        expect(header.length).toBeLessThan(40_000);
        if (message.length <= 4096) expect(decodeURIComponent(header)).toBe(message.toWellFormed());
        else expect(decodeURIComponent(header)).toMatch(/…$/);
      }),
    );
  });
});

describe('files as BuildKit tells of them', () => {
  // Go's os.FileMode: directory 1<<31, symlink 1<<27, setuid 1<<23, setgid 1<<22, sticky 1<<20, irregular 1<<19.
  test.each<[TreeStat, number, number]>([
    [stat('f', 'file', 0o644), 0o644, 3],
    [stat('f', 'file', 0o4755), 0x80_0000 + 0o755, 3],
    [stat('f', 'file', 0o2711), 0x40_0000 + 0o711, 3],
    [stat('f', 'file', 0o7777), 0x80_0000 + 0x40_0000 + 0x10_0000 + 0o777, 3],
    [stat('d', 'directory', 0o755), 0x8000_0000 + 0o755, 0],
    [stat('d', 'directory', 0o1777), 0x8000_0000 + 0x10_0000 + 0o777, 0],
    [stat('l', 'symlink', 0o777, { link: '../x' }), 0x800_0000 + 0o777, 0],
    [stat('o', 'other', 0o600), 0x8_0000 + 0o600, 0],
  ])('%o', (file, mode, size) => {
    expect(toPbStat(file)).toEqual({
      path: file.name,
      mode,
      uid: 1,
      gid: 2,
      size,
      modTime: 4n,
      linkname: file.link ?? '',
    });
  });

  const content = Buffer.from('0123456789');
  const asked: (number | undefined)[] = [];
  const tree: FileTree = {
    stat: async (path) => (path === '/f' ? stat('f', 'file') : undefined),
    list: async (path) => (path === '/d' ? ['a.go', 'b.txt', 'c', '.go'].map((name) => stat(name, 'file')) : undefined),
    read: async (path, limit) => {
      asked.push(limit);
      return path === '/f' ? content.subarray(0, limit) : undefined;
    },
  };
  const text = async (range?: { readonly offset: number; readonly length: number }): Promise<string> =>
    Buffer.from(
      (await readFile(tree, { ref: '', path: '/f', ...(range && { range }) } as never, signal)).data,
    ).toString();

  test('a part of a file is read no further than it goes', async () => {
    expect(await text()).toBe('0123456789');
    expect(await text({ offset: 2, length: 3 })).toBe('234');
    expect(await text({ offset: 8, length: 5 })).toBe('89');
    expect(await text({ offset: 20, length: 5 })).toBe('');
    expect(await text({ offset: 0, length: 0 })).toBe('');
    expect(asked).toEqual([undefined, 5, 13, 25, 0]);
  });

  test.each([
    [-1, 5],
    [0, -1],
    [0, 2 ** 24 + 1],
    [2 ** 24, 1],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  ])('and not from %d on for %d bytes', async (offset, length) => {
    await expect(text({ offset, length })).rejects.toMatchObject({ status: statusCodes.resourceExhausted });
  });

  test('a directory with what a pattern leaves', async () => {
    const names = async (includePattern: string): Promise<readonly string[]> => {
      const answer = await listDirectory(tree, { ref: '', path: '/d', mountIndex: 0, includePattern }, signal);
      return (answer as { entries: readonly { path: string }[] }).entries.map(({ path }) => path);
    };
    expect(await names('')).toEqual(['a.go', 'b.txt', 'c', '.go']);
    expect(await names('*.go')).toEqual(['a.go', '.go']);
    expect(await names('?')).toEqual(['c']);
    expect(await names('nothing')).toEqual([]);
    await expect(names('[')).rejects.toMatchObject({ code: 'TSB_IGNORE' });
  });

  test("what is not there is missed in Go's words", async () => {
    const request = { ref: '', path: '/none', mountIndex: 0, includePattern: '' };
    await expect(readFile(tree, request, signal)).rejects.toThrow('open /none: no such file or directory');
    await expect(listDirectory(tree, request, signal)).rejects.toThrow('readdir /none: no such file or directory');
    await expect(statFile(tree, request, signal)).rejects.toMatchObject({
      status: statusCodes.notFound,
      message: 'lstat /none: no such file or directory',
    });
  });
});

describe('what a frontend failed of', () => {
  const source = (json: unknown) => ({
    typeUrl: 'github.com/moby/buildkit/errdefs.Source+json',
    value: Buffer.from(typeof json === 'string' ? json : JSON.stringify(json)),
  });
  const failed = (message: string, ...details: readonly ReturnType<typeof source>[]): TsbuildError =>
    frontendFailure({ code: 2, message, details }, []);

  test('is told in its own words, with the places that it names', () => {
    const error = failed(
      ' dockerfile parse error \n',
      source({
        info: { filename: 'Dockerfile' },
        ranges: [{ start: { line: 3 }, end: { line: 5 } }, { start: { line: 9 } }],
      }),
    );
    expect(error).toMatchObject({
      code: 'TSB_DOCKERFILE',
      message: 'dockerfile parse error',
      ranges: [
        { file: 'Dockerfile', startLine: 3, endLine: 5 },
        { file: 'Dockerfile', startLine: 9, endLine: 9 },
      ],
    });
    expect(failed('').message).toBe('the frontend failed with status 2 and no message');
    expect(frontendFailure({ code: 5, message: 'x', details: [] }, []).code).toBe('TSB_NOT_FOUND');
  });

  test.each<[string, unknown]>([
    ['no JSON', '{'],
    ['null', null],
    ['a list', []],
    ['ranges that are none', { ranges: 3 }],
    ['no position', { ranges: [null, 1, {}, { start: 1 }, { start: null }] }],
    ['lines that are none', { ranges: [0, -1, 1.5, '1', 2 ** 60].map((line) => ({ start: { line } })) }],
    ['a name of another kind', { info: { filename: 3 }, ranges: [] }],
  ])('has no place where that is %s', (_name, json) => expect(failed('x', source(json)).ranges).toEqual([]));

  test('an end before the start is no end, and there are not too many places', () => {
    const ranges = Array.from({ length: 100 }, () => ({ start: { line: 4 }, end: { line: 1 } }));
    expect(failed('x', source({ ranges })).ranges).toEqual(
      Array.from({ length: 20 }, () => ({ file: '', startLine: 4, endLine: 4 })),
    );
    expect(failed('x', { ...source({ ranges }), typeUrl: 'github.com/moby/buildkit/stack.Stack+json' }).ranges).toEqual(
      [],
    );
  });

  test('is what its last call failed of where it passes that on', () => {
    const [first, second] = [new TsbuildError('TSB_NETWORK', 'a'), new TsbuildError('TSB_POLICY', 'b')];
    const told = [
      { message: 'a', error: first },
      { message: 'b', error: second },
      { message: '', error: new TsbuildError('TSB_INTERNAL', 'never') },
    ];
    expect(frontendFailure({ code: 2, message: 'failed: a', details: [] }, told)).toBe(first);
    expect(frontendFailure({ code: 2, message: 'failed: a and b', details: [] }, told)).toBe(second);
    expect(frontendFailure({ code: 2, message: 'own', details: [] }, told).message).toBe('own');
  });

  test('a place that goes on without end is shown soon', async () => {
    const [range] = failed(
      'x',
      source({ ranges: [{ start: { line: 1 }, end: { line: Number.MAX_SAFE_INTEGER } }] }),
    ).ranges;
    expect(range?.startLine).toBe(1);
    const file = { name: '', text: 'FROM a\nRUN b\n' };
    let shown = '';
    expect(
      await processorTime(() => {
        shown = formatSourceExcerpt(file, range ? [range] : []);
      }),
    ).toBeLessThan(1000);
    expect(shown).toContain('1 | >>> FROM a');
  });
});

test('a warning is cut to what can be shown', () => {
  const position = (line: number) => ({ line, character: 0 });
  const warning = toWarning({
    short: Buffer.from('ä'.repeat(5000)),
    info: { filename: 'Dockerfile' },
    ranges: [
      { start: position(0) },
      {},
      { start: position(2), end: position(1) },
      { start: position(3), end: position(7) },
    ],
  });
  expect(warning.message).toBe('ä'.repeat(2048));
  expect(warning.ranges).toEqual([
    { file: 'Dockerfile', startLine: 2, endLine: 2 },
    { file: 'Dockerfile', startLine: 3, endLine: 7 },
  ]);
});

test('a frontend finds its options numbered, its session and the platforms of the machine', () => {
  const options = new Map([
    ['filename', 'Dockerfile'],
    ['build-arg:A', 'b=c\nd'],
  ]);
  expect(frontendEnvironment(options, 'id', [{ os: 'linux', architecture: 'arm', variant: 'v7' }])).toEqual([
    'BUILDKIT_FRONTEND_OPT_0=filename=Dockerfile',
    'BUILDKIT_FRONTEND_OPT_1=build-arg:A=b=c\nd',
    'BUILDKIT_SESSION_ID=id',
    'BUILDKIT_WORKERS=[{"id":"tsbuild","labels":{},"platforms":[{"architecture":"arm","os":"linux","variant":"v7"}]}]',
    'BUILDKIT_EXPORTEDPRODUCT=tsbuild',
  ]);
});

test('a platform that is not said, or half of one, is that of the machine', () => {
  const platform = { os: 'linux', architecture: 'x86_64', variant: '', osVersion: '', osFeatures: [] };
  expect(toPlatform(undefined)).toEqual(hostPlatform());
  expect(toPlatform({ ...platform, os: '' })).toEqual(hostPlatform());
  expect(toPlatform({ ...platform, architecture: '' })).toEqual(hostPlatform());
  expect(toPlatform(platform)).toEqual({ os: 'linux', architecture: 'amd64' });
  expect(toPlatform({ ...platform, architecture: 'arm', variant: '6' })).toEqual({
    os: 'linux',
    architecture: 'arm',
    variant: 'v6',
  });
});
