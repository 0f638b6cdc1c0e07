import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseGitRef } from '../../../src/frontend/index.ts';
import { isTsbuildError } from '../../../src/util/index.ts';

describe('git references', () => {
  test.each([
    ['https://h/a/b.git', { url: 'https://h/a/b.git' }],
    ['https://user:pw@h:8443/a.git#main', { url: 'https://user:pw@h:8443/a.git', ref: 'main' }],
    ['https://h/a.git#:sub/../dir/', { subdir: 'dir' }],
    ['https://h/a.git#v1:x', { ref: 'v1', subdir: 'x' }],
    ['https://h/a.git?ref=v1&subdir=x', { ref: 'v1', subdir: 'x' }],
    ['https://h/a.git?tag=v1', { ref: 'refs/tags/v1' }],
    ['https://h/a.git?branch=refs/heads/b', { ref: 'refs/heads/b' }],
    ['https://h/a.git?tag=v1#refs/tags/v1', { ref: 'refs/tags/v1' }],
    [
      'https://h/a.git?commit=abc&keep-git-dir&submodules=false',
      { checksum: 'abc', keepGitDir: true, submodules: false },
    ],
    ['https://h/a.git?mtime=commit&fetch-by-commit=1', { mtime: 'commit', fetchByCommit: true }],
    ['git://h/a', { url: 'git://h/a' }],
    ['ssh://git@h:22/a/b', { url: 'ssh://git@h:22/a/b', ssh: true }],
    ['git@h:a/b.git#main:d', { url: 'git@h:a/b.git', ref: 'main', subdir: 'd', ssh: true }],
    ['git@h:a/b?ref=x', { url: 'git@h:a/b', ref: 'x' }],
    ['github.com/moby/buildkit', { url: 'github.com/moby/buildkit', likeLocalPath: true }],
    ['http://h/a.git', { url: 'http://h/a.git' }],
  ])('%s', (text, wanted) => {
    const found = parseGitRef(text);
    const { remote, ...rest } = found ?? {};
    expect({ ...remote, ...rest }).toMatchObject(wanted);
  });

  test.each([
    './a.git',
    '../a.git',
    'a.git',
    'https://h/a',
    'https://h/a.git/x',
    'ftp://h/a.git',
    'file:///a.git',
    '/a',
    '',
    'https://h h/a.git',
  ])('%j is none', (text) => expect(parseGitRef(text)).toBeUndefined());

  test.each([
    ['https://h/a.git?ref=a#b', 'ref conflicts: "b" vs "a"'],
    ['https://h/a.git?subdir=a#:b', 'subdir conflicts: "b" vs "a"'],
    ['https://h/a.git?tag=a&branch=b', 'branch conflicts with tag'],
    ['https://h/a.git?tag=a#b', 'ref conflicts: "b" vs "refs/tags/a"'],
    ['https://h/a.git?ref=a&ref=b', 'query "ref" has multiple values'],
    ['https://h/a.git?ref=', 'query "ref" has no value'],
    ['https://h/a.git?mtime=now', 'invalid mtime value: "now" (must be "checkout" or "commit")'],
    ['https://h/a.git?submodules=maybe', 'invalid submodules value: "maybe"'],
    ['https://h/a.git?x=1', 'unexpected query "x"'],
  ])('%s is refused', (text, message) => expect(() => parseGitRef(text)).toThrow(message));

  test('nothing makes it fail in another way', () => {
    const piece = fc.constantFrom(
      'git@',
      'https://',
      'h',
      '/',
      '.git',
      '#',
      ':',
      '?',
      'ref=',
      '&',
      '%',
      '%zz',
      ' ',
      '\0',
      '..',
      '@',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        try {
          parseGitRef(pieces.join(''));
        } catch (error) {
          if (!isTsbuildError(error, 'TSB_DOCKERFILE')) throw error;
        }
      }),
    );
  });
});
