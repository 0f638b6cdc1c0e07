import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Fault } from '../../src/serve/fault.ts';
import { digestOf, nameOf, type Route, routeOf } from '../../src/serve/route.ts';
import { sha256 } from '../../src/util/index.ts';

const digest = sha256('x');

/** What a path is, or the code of the fault that it is answered with. */
function read(path: string): Route | string | undefined {
  try {
    return routeOf(path);
  } catch (error) {
    if (error instanceof Fault) return error.code;
    throw error;
  }
}

describe('paths of a registry', () => {
  const paths: readonly (readonly [string, Route | string | undefined])[] = [
    ['/v2', { kind: 'base' }],
    ['/v2/', { kind: 'base' }],
    ['/v2/_catalog', { kind: 'catalog' }],
    ['/v2/web/tags/list', { kind: 'tags', name: 'web' }],
    ['/v2/a/b/c/tags/list', { kind: 'tags', name: 'a/b/c' }],
    ['/v2/web/manifests/1.0', { kind: 'manifest', name: 'web', reference: { tag: '1.0' } }],
    [`/v2/web/manifests/${digest}`, { kind: 'manifest', name: 'web', reference: { digest } }],
    [`/v2/web/blobs/${digest}`, { kind: 'blob', name: 'web', digest }],
    ['/v2/web/blobs/uploads', { kind: 'uploads', name: 'web' }],
    ['/v2/web/blobs/uploads/', { kind: 'uploads', name: 'web' }],
    ['/v2/web/blobs/uploads/0af', { kind: 'upload', name: 'web', id: '0af' }],
    [`/v2/web/referrers/${digest}`, { kind: 'referrers', name: 'web', digest }],
    // Words of the protocol may be parts of names.
    ['/v2/tags/list/tags/list', { kind: 'tags', name: 'tags/list' }],
    ['/v2/manifests/manifests/manifests', { kind: 'manifest', name: 'manifests', reference: { tag: 'manifests' } }],
    ['/v2/blobs/uploads/blobs/uploads/', { kind: 'uploads', name: 'blobs/uploads' }],
    ['', undefined],
    ['/', undefined],
    ['/v1/web/tags/list', undefined],
    ['/v2//tags/list', undefined],
    ['/v2/web', undefined],
    ['/v2/web/tags', undefined],
    ['/v2/web/tags/list/more', undefined],
    ['/v2/web/manifests/a/b', undefined],
    ['/v2/web/manifests/', 'TAG_INVALID'],
    ['/v2/web/manifests/-a', 'TAG_INVALID'],
    [`/v2/web/manifests/${'a'.repeat(129)}`, 'TAG_INVALID'],
    ['/v2/web/manifests/sha512:00', 'DIGEST_INVALID'],
    [`/v2/web/manifests/${digest.toUpperCase()}`, 'DIGEST_INVALID'],
    [`/v2/web/blobs/${digest}0`, 'DIGEST_INVALID'],
    [`/v2/web/blobs/${digest.slice(0, -1)}`, 'DIGEST_INVALID'],
    ['/v2/web/referrers/latest', 'DIGEST_INVALID'],
    ['/v2/-web/tags/list', 'NAME_INVALID'],
    ['/v2/web-/tags/list', 'NAME_INVALID'],
    ['/v2/we..b/tags/list', 'NAME_INVALID'],
    ['/v2/we___b/tags/list', 'NAME_INVALID'],
    ['/v2/we--b/tags/list', { kind: 'tags', name: 'we--b' }],
    ['/v2/we__b/tags/list', { kind: 'tags', name: 'we__b' }],
    ['/v2/a/../b/tags/list', 'NAME_INVALID'],
    ['/v2/wéb/tags/list', 'NAME_INVALID'],
    ['/v2/web\n/tags/list', undefined],
  ];
  test.each(paths)('%j', (path, wanted) => {
    expect(read(path)).toEqual(wanted);
  });

  test('names have at most 255 characters, tags 128', () => {
    expect(read(`/v2/${'a'.repeat(255)}/tags/list`)).toMatchObject({ kind: 'tags' });
    expect(read(`/v2/${'a'.repeat(256)}/tags/list`)).toBe('NAME_INVALID');
    expect(read(`/v2/web/manifests/${'a'.repeat(128)}`)).toMatchObject({ kind: 'manifest' });
    expect(nameOf('a'.repeat(255))).toHaveLength(255);
    expect(() => nameOf('a'.repeat(256))).toThrow('invalid repository name');
  });

  test('what is read is only ever of characters that are nothing special in a path, an address or a key', () => {
    const piece = fc.oneof(
      fc.constantFrom('v2', 'tags', 'list', 'manifests', 'blobs', 'uploads', 'referrers', digest, '..', '.', 'web', ''),
      fc.string({ maxLength: 6 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 7 }), (pieces) => {
        const route = read(`/v2/${pieces.join('/')}`);
        if (route === undefined || typeof route === 'string') return;
        if ('name' in route) expect(route.name).toMatch(/^[a-z0-9._/-]+$/);
        if ('name' in route) expect(route.name.split('/')).not.toContain('..');
        if (route.kind === 'manifest' && 'tag' in route.reference) expect(route.reference.tag).toMatch(/^[\w.-]+$/);
      }),
      { numRuns: 500 },
    );
  });

  test('long paths that are none are answered in linear time', () => {
    const began = performance.now();
    for (const path of [
      `/v2/${'a/'.repeat(200_000)}`,
      `/v2/${'a-'.repeat(200_000)}/tags/list`,
      `/v2/${'/tags'.repeat(100_000)}`,
    ])
      expect(['NAME_INVALID', undefined]).toContain(read(path));
    expect(performance.now() - began).toBeLessThan(20_000);
  });
});

test('digests and names of queries are read as strictly', () => {
  expect(digestOf(digest)).toBe(digest);
  for (const text of ['', 'x', ` ${digest}`, `${digest}\n`, digest.replace('sha256', 'sha512')])
    expect(() => digestOf(text)).toThrow('invalid digest');
  for (const text of ['', 'UPPER', 'a//b', 'a/', '/a', 'a\n']) expect(() => nameOf(text)).toThrow('invalid repository');
});
