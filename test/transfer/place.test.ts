import { assert, constantFrom, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePlace, type Place } from '../../src/transfer/index.ts';
import { isTsbuildError } from '../../src/util/index.ts';

const DIGEST = `sha256:${'a'.repeat(64)}` as const;
const parse = (text: string, stored: readonly string[] = []): Place =>
  parsePlace(text, '/w', (name) => stored.includes(name));

describe('places of images', () => {
  test.each<[string, Place]>([
    ['docker://debian', { kind: 'registry', reference: { host: 'docker.io', path: 'library/debian' } }],
    ['docker://h:5000/a/b:1', { kind: 'registry', reference: { host: 'h:5000', path: 'a/b', tag: '1' } }],
    ['docker:24', { kind: 'registry', reference: { host: 'docker.io', path: 'library/docker', tag: '24' } }],
    [`h.io/a@${DIGEST}`, { kind: 'registry', reference: { host: 'h.io', path: 'a', digest: DIGEST } }],
    ['oci:dir', { kind: 'layout', path: '/w/dir' }],
    ['oci:dir:1', { kind: 'layout', path: '/w/dir', name: '1' }],
    ['oci:/abs/dir:docker.io/library/app:1', { kind: 'layout', path: '/abs/dir', name: 'docker.io/library/app:1' }],
    [`oci:dir@${DIGEST}`, { kind: 'layout', path: '/w/dir', digest: DIGEST }],
    ['oci-layout:dir:1', { kind: 'layout', path: '/w/dir', name: '1' }],
    ['oci-layout:///abs:1', { kind: 'layout', path: '/abs', name: '1' }],
    ['oci-layout://dir:1', { kind: 'layout', path: '/w/dir', name: '1' }],
    ['oci-archive:f.tar', { kind: 'archive', form: 'oci', path: '/w/f.tar' }],
    ['docker-archive:f.tar:app:1', { kind: 'archive', form: 'docker', path: '/w/f.tar', name: 'app:1' }],
    ['oci-archive:-:1', { kind: 'archive', form: 'oci', path: '-', name: '1' }],
    ['store:app:1', { kind: 'store', name: 'app:1' }],
    ['dir:5000/app', { kind: 'registry', reference: { host: 'dir:5000', path: 'app' } }],
  ])('%s', (text, place) => {
    expect(parse(text)).toEqual(place);
  });

  test('a bare name is one of the store where it has it, and one of a registry otherwise', () => {
    expect(parse('app:1', ['app:1'])).toEqual({ kind: 'store', name: 'app:1' });
    expect(parse('app:1')).toMatchObject({ kind: 'registry' });
    expect(parse('docker://app:1', ['app:1', 'docker://app:1'])).toMatchObject({ kind: 'registry' });
    // An image may be called as a transport is.
    expect(parse('store:1', ['store:1'])).toEqual({ kind: 'store', name: 'store:1' });
  });

  test.each([
    ['containers-storage:app', /transport containers-storage is not supported/, /podman save/],
    ['docker-daemon:app:1', /transport docker-daemon is not supported/, /docker save/],
    ['dir:/x', /transport dir is not supported/, /oci:DIR/],
    ['ftp://x/y', /unknown transport "ftp"/, /docker:\/\/NAME/],
    ['./x.tar', /does not say what is there/, /oci-archive:FILE/],
    ['/x/y', /does not say what is there/, /oci:DIR/],
    ['oci:', /the path is missing/, undefined],
    ['oci::1', /the path is missing/, undefined],
    ['oci:dir:-', /no name of an image/, undefined],
    ['docker-archive:f:UPPER', /reference/, undefined],
    ['oci:dir@sha256:zz', /sha256/, undefined],
    ['docker://', /empty/, undefined],
  ])('%s is refused', (text, message, hint) => {
    const error = caught(() => parse(text));
    expect(error.message).toMatch(message);
    if (hint) expect(error.hint).toMatch(hint);
  });

  test('whatever is typed is a place or wrong usage', () => {
    const prefix = constantFrom('', 'docker://', 'oci:', 'oci-archive:', 'store:', 'docker-archive:', 'dir:');
    assert(
      property(prefix, string(), (start, rest) => {
        try {
          return parse(start + rest).kind.length > 0;
        } catch (error) {
          return isTsbuildError(error);
        }
      }),
    );
  });
});

function caught(work: () => unknown): { readonly message: string; readonly hint?: string | undefined } {
  try {
    work();
  } catch (error) {
    if (isTsbuildError(error)) return error;
    throw error;
  }
  throw new Error('Nothing was thrown');
}
