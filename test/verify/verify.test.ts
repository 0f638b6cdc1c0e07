import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { layerDifferences } from '../../src/verify/layer-differences.ts';
import { comparableInlineCache } from '../../src/verify/inline-cache.ts';
import { jsonDifferences } from '../../src/verify/json-differences.ts';
import { type Comparison, type Difference, formatComparison } from '../../src/verify/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { tar, type TarMember } from '../support/image.ts';

const { signal } = new AbortController();
let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'tsbuild-verify-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function blob(bytes: Buffer): { digest: ReturnType<typeof sha256>; file: string } {
  const digest = sha256(bytes);
  const file = join(dir, digest.slice(7));
  writeFileSync(file, bytes);
  return { digest, file };
}

async function compare(image: Buffer, rebuilt: Buffer): Promise<readonly Difference[]> {
  return layerDifferences({ layer: 1, image: blob(image), rebuilt: blob(rebuilt) }, dir, signal);
}

const base: readonly TarMember[] = [
  { name: 'dir/', type: '5' },
  { name: 'dir/file', content: 'one two three' },
  { name: 'link', type: '2', link: 'dir/file' },
];

/** The members with one of them changed. */
function withMember(name: string, change: Partial<TarMember>): Buffer {
  return tar(base.map((member) => (member.name === name ? { ...member, ...change } : member)));
}

describe('two layers', () => {
  test('that are the same bytes have no difference, and are not read', async () => {
    const same = sha256('x');
    const nowhere = { digest: same, file: '/nonexistent' };
    expect(await layerDifferences({ layer: 1, image: nowhere, rebuilt: nowhere }, dir, signal)).toEqual([]);
  });

  test('with the same tar differ by their compression', async () => {
    const content = tar(base);
    expect(await compare(content, gzipSync(content))).toMatchObject([{ kind: 'layer', what: 'compression' }]);
  });

  test('with the same entries in another order differ by that', async () => {
    expect(await compare(tar(base), tar([base[0], base[2], base[1]] as TarMember[]))).toMatchObject([
      { kind: 'layer', what: 'order' },
    ]);
  });

  const changes: readonly (readonly [string, Partial<TarMember>, object])[] = [
    ['dir/file', { mode: 0o600 }, { fields: [{ field: 'mode', image: '0644', rebuilt: '0600' }] }],
    ['dir/file', { uid: 7, gid: 8 }, { fields: [{ field: 'owner', image: '0:0', rebuilt: '7:8' }] }],
    ['link', { link: 'elsewhere' }, { fields: [{ field: 'target', image: 'dir/file', rebuilt: 'elsewhere' }] }],
    [
      'dir/file',
      { content: 'one TWO three' },
      { fields: [], content: { offset: 4, image: 'two three', rebuilt: 'TWO three' } },
    ],
    [
      'dir/file',
      { content: 'one two three\n\u001b[2J' },
      {
        fields: [{ field: 'size', image: '13', rebuilt: '18' }],
        content: { offset: 13, image: '', rebuilt: '\\n\\x1b[2J' },
      },
    ],
    ['dir/file', { content: 'one' }, { content: { offset: 3, image: ' two three', rebuilt: '' } }],
    ['dir/', { name: 'dir/file/', type: '5' }, { path: '/dir' }],
  ];
  test.each(changes)('a change of %s %j is found', async (name, change, expected) => {
    const found = await compare(tar(base), withMember(name, change));
    expect(found).toEqual(expect.arrayContaining([expect.objectContaining(expected)]));
  });

  test('entries that only one of them has', async () => {
    const found = await compare(tar(base.slice(0, 2)), tar([...base.slice(0, 1), { name: 'new' }]));
    expect(found).toMatchObject([
      { path: '/dir/file', what: 'absent' },
      { path: '/new', what: 'added' },
    ]);
  });

  describe('with sparse files', () => {
    const zeros = Buffer.alloc(200_000);
    const data = Buffer.alloc(4096, 'x');

    /** A file as GNU tar writes it, with what is zero in it left out or not. */
    function archiveOf(content: Buffer, sparse: boolean): Buffer {
      const from = mkdtempSync(join(dir, 'sparse-'));
      writeFileSync(join(from, 'whole'), content);
      // The program leaves out of files what the file system does not have either.
      execFileSync('cp', [`--sparse=${sparse ? 'always' : 'never'}`, 'whole', 'f'], { cwd: from });
      const form = ['--format=posix', '--mtime=@0', '--owner=0', '--group=0', '--pax-option=delete=?time'];
      return execFileSync('tar', [...form, ...(sparse ? ['--sparse'] : []), '-C', from, '-c', 'f']);
    }

    test.each([
      ['between', Buffer.concat([data, zeros, data])],
      ['before', Buffer.concat([zeros, data])],
      ['behind', Buffer.concat([data, zeros])],
      ['all', zeros],
    ])('holes %s are the zeros that they are read as', async (_, content) => {
      const [with_, without] = [archiveOf(content, true), archiveOf(content, false)];
      expect(with_.length).toBeLessThan(without.length);
      expect(await compare(with_, without)).toMatchObject([{ kind: 'layer', what: 'order' }]);
    });

    test.each([
      ['moved', Buffer.concat([zeros, data, zeros]), Buffer.concat([zeros, zeros, data]), zeros.length],
      ['filled', Buffer.concat([data, zeros, data]), Buffer.concat([data, data, zeros]), data.length],
      ['emptied', Buffer.concat([data, data, zeros]), Buffer.concat([data, zeros, data]), data.length],
      ['at the end', Buffer.concat([data, zeros]), Buffer.concat([data, zeros.subarray(1), Buffer.from('y')]), 204_095],
    ])('data that was %s differs from where it did', async (_, ours, theirs, offset) => {
      for (const sparse of [true, false])
        expect(await compare(archiveOf(ours, true), archiveOf(theirs, sparse))).toMatchObject([
          { path: '/f', what: 'changed', fields: [], content: { offset } },
        ]);
    });

    test('that claim to be enormous cost nothing, and still differ', async () => {
      const huge = (at: number): Buffer => {
        const from = mkdtempSync(join(dir, 'huge-'));
        execFileSync('sh', ['-c', `truncate -s 4T f && printf x | dd of=f bs=1 seek=${at} conv=notrunc status=none`], {
          cwd: from,
        });
        return execFileSync('tar', ['-C', from, '--format=posix', '--mtime=@0', '--sparse', '-c', 'f']);
      };
      const [ours, theirs] = [huge(2 ** 40), huge(2 ** 41)];
      expect(await compare(ours, theirs)).toMatchObject([
        { path: '/f', what: 'changed', fields: [{ field: 'content' }] },
      ]);
    });
  });

  test('differ exactly where a file was changed', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 3000 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (bytes, place, flip) => {
          const at = place % bytes.length;
          const other = Uint8Array.from(bytes);
          other[at] = (other[at] ?? 0) ^ flip;
          const found = await compare(tar([{ name: 'f', content: bytes }]), tar([{ name: 'f', content: other }]));
          expect(found).toMatchObject([{ path: '/f', fields: [], content: { offset: at } }]);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('two documents', () => {
  test('differ by the values that differ, each with its path', () => {
    const image = { Env: ['A=1', 'B=2'], Labels: { 'a.b': 'x', c: 'y' }, User: 'root' };
    const rebuilt = { Env: ['A=1', 'B=3', 'C=4'], Labels: { 'a.b': 'z', c: 'y' } };
    expect(jsonDifferences({ config: image }, { config: rebuilt })).toEqual([
      { path: 'config.Env[1]', image: 'B=2', rebuilt: 'B=3' },
      { path: 'config.Env[2]', rebuilt: 'C=4' },
      { path: 'config.Labels["a.b"]', image: 'x', rebuilt: 'z' },
      { path: 'config.User', image: 'root' },
    ]);
  });

  test('have no difference exactly when they say the same', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), fc.jsonValue({ maxDepth: 4 }), (a, b) => {
        const copy: unknown = JSON.parse(JSON.stringify(a));
        expect(jsonDifferences(JSON.parse(JSON.stringify(a)), copy)).toEqual([]);
        const text = (value: unknown): string => JSON.stringify(sorted(value));
        expect(jsonDifferences(a, b).length === 0).toBe(text(a) === text(b));
      }),
    );
  });
});

describe('caches within two images', () => {
  const cacheOf = (records: readonly object[]): unknown =>
    comparableInlineCache(Buffer.from(JSON.stringify(records)).toString('base64'));
  const from = { digest: 'sha256:a' };
  const run = (link: number, layer = 1): object => ({
    layers: [{ layer }],
    digest: 'sha256:c',
    inputs: [[{ selector: '/x', link }]],
  });

  test('are compared record by record, wherever these stand', () => {
    const ours = cacheOf([from, run(0)]);
    expect(ours).toEqual({
      'sha256:a': {},
      'sha256:c': { layers: [{ layer: 1 }], inputs: [[{ selector: '/x', link: 'sha256:a' }]] },
    });
    expect(jsonDifferences(ours, cacheOf([run(1), from]))).toEqual([]);
    expect(jsonDifferences(ours, cacheOf([from, { digest: 'sha256:b' }, run(0, 2)]))).toEqual([
      { path: '["sha256:b"]', rebuilt: {} },
      { path: '["sha256:c"].layers[0].layer', image: 1, rebuilt: 2 },
    ]);
  });

  test('whatever stands in the place of one is compared as it is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.base64String(), fc.json().map(toBase64)), (value) => {
        expect(jsonDifferences(comparableInlineCache(value), comparableInlineCache(value))).toEqual([]);
      }),
    );
    expect(comparableInlineCache('not base64 of JSON')).toBe('not base64 of JSON');
  });
});

function toBase64(text: string): string {
  return Buffer.from(text).toString('base64');
}

/** With the names of objects in order, as they say nothing by it. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  // In an object again: an empty one is no empty list.
  return { entries: entries.map(([name, inner]) => [name, sorted(inner)]) };
}

test('where only the cache differs, it says so', () => {
  const digests = { platform: 'linux/amd64', image: sha256('a'), rebuilt: sha256('b'), identical: false };
  const cache: Difference = { kind: 'cache', path: '["sha256:a"]', rebuilt: {} };
  expect(formatComparison({ ...digests, differences: [cache] })).toMatch(
    /cache within the image\n {2}~ \["sha256:a"\]: nothing -> \{\}\nnothing else differs: /,
  );
  const label: Difference = { kind: 'config', path: 'config.Labels.a', image: '1' };
  expect(formatComparison({ ...digests, differences: [label, cache] })).not.toContain('nothing else');
});

test('what is shown is harmless, and has an end', () => {
  const many = Array.from({ length: 80 }, (_, at): Difference => ({
    kind: 'entry',
    layer: 2,
    createdBy: 'RUN \u001b[2Jx',
    path: `/f${at}\u001b[1m`,
    what: 'added',
    fields: [],
  }));
  const comparison: Comparison = {
    platform: 'linux/amd64',
    image: sha256('a'),
    rebuilt: sha256('b'),
    identical: false,
    differences: [{ kind: 'config', path: 'created', image: 'x' }, ...many],
  };
  const text = formatComparison(comparison);
  expect(text).not.toContain('\u001b');
  expect(text).toContain('config\n  ~ created: x -> nothing\nlayer 2: RUN ');
  expect(text).toContain('and 30 more');
});
