import { describe, expect, test } from 'vitest';
import {
  git,
  type GitOptions,
  type GitRemote,
  http,
  type HttpOptions,
  image,
  loadGraph,
  local,
  type LocalOptions,
  marshal,
  ociLayout,
  type State,
} from '../../src/llb/index.ts';
import { ALPINE, BUSYBOX, digestOf, platform } from './buildkit.ts';

/** A source as it is marshalled, and what a daemon must be able to do for it. */
function sourceOf(state: State): {
  identifier: string;
  attrs: Record<string, string>;
  caps: readonly string[];
  platform: string | undefined;
} {
  // oxfmt-ignore
  const definition = marshal(state, { platform: { os: 'linux', architecture: 's390x' } });
  const vertex = loadGraph(definition).result?.vertex;
  if (vertex?.op.body?.kind !== 'source') throw new Error('It is no source');
  const { identifier, attrs } = vertex.op.body;
  const caps = [...(definition.metadata.get(vertex.digest)?.caps.keys() ?? [])].toSorted();
  return { identifier, attrs: Object.fromEntries(attrs), caps, platform: vertex.op.platform?.architecture };
}

describe('sources have the digest that BuildKit gives them', () => {
  const repository: GitRemote = {
    url: 'http://127.0.0.1:5081/.git',
    host: '127.0.0.1:5081',
    path: '/.git',
    ssh: false,
  };
  // The digests are those of BuildKit 0.25.
  test.each<[string, State, string]>([
    ['an image', image(ALPINE, { platform }), '695cb55d3e4564aac1da5dc700ad19b0691b13e0784b3336a3af45d05d5bd1b0'],
    ['another one', image(BUSYBOX, { platform }), 'de4223877736f5aef23a405f0bb7184d03db2b7414034675d8086c3cdb870d17'],
    [
      'a web address',
      http('http://127.0.0.1:5081/foo', { filename: 'foo' }),
      '63976a502dec245b6a793128c9b6c0e372a3e41d010307e00513840300d5278c',
    ],
    [
      'a web address with a checksum',
      http('http://127.0.0.1:5081/foo', {
        filename: 'foo',
        checksum: 'sha256:d0b425e00e15a0d36b9b361f02bab63563aed6cb4665083905386c55d5b679fa',
      }),
      '39669762697a3b256b626ed9f90f8266c94d5846b4d13d59009663c3b3ccdfe3',
    ],
    [
      'a repository',
      git(repository, { ref: 'v0.0.2', keepGitDir: true, checksum: '1d25c595cf4f2b120837c9149d65f6405c46f4e1' }),
      'fab576513343372bfd1ed5649e5addf813b3ce0e1975a39e69caa071f5ed64ff',
    ],
  ])('%s', (_, state, digest) => expect(digestOf(state)).toBe(`sha256:${digest}`));
});

describe('images', () => {
  test('are of their platform, or of that of the build; nothing else is of any', () => {
    expect(sourceOf(image(ALPINE, { platform })).platform).toBe('amd64');
    expect(sourceOf(image(ALPINE)).platform).toBe('s390x');
    expect(sourceOf(ociLayout('a@sha256:x')).platform).toBe('s390x');
    for (const state of [local('c', { platform }), http('http://a/b', { platform })])
      expect(sourceOf(state).platform).toBeUndefined();
  });

  test('need a daemon that looks them up anew only where they must be', () => {
    expect(sourceOf(image(ALPINE))).toMatchObject({ attrs: {}, caps: ['source.image'] });
    expect(sourceOf(image(ALPINE, { resolveMode: 'local' }))).toMatchObject({
      attrs: { 'image.resolvemode': 'local' },
      caps: ['source.image'],
    });
    expect(sourceOf(image(ALPINE, { resolveMode: 'pull' }))).toMatchObject({
      attrs: { 'image.resolvemode': 'pull' },
      caps: ['source.image', 'source.image.resolvemode'],
    });
    expect(sourceOf(ociLayout('a@sha256:x', { sessionId: '', storeId: 's' }))).toMatchObject({
      attrs: { 'oci.store': 's' },
      caps: ['source.ocilayout'],
    });
  });
});

// Attributes and capabilities of client/llb/source.go.
describe('directories', () => {
  test.each<[LocalOptions, Record<string, string>, readonly string[]]>([
    [{}, {}, []],
    [{ sessionId: 's' }, { 'local.session': 's' }, ['sessionid']],
    [{ includePatterns: ['a', 'b*'] }, { 'local.includepattern': '["a","b*"]' }, ['includepatterns']],
    [{ excludePatterns: ['!x'] }, { 'local.excludepatterns': '["!x"]' }, ['excludepatterns']],
    [{ followPaths: ['a'] }, { 'local.followpaths': '["a"]' }, ['followpaths']],
    [{ includePatterns: [], excludePatterns: [], followPaths: [] }, {}, []],
    [{ sharedKeyHint: 'k' }, { 'local.sharedkeyhint': 'k' }, ['sharedkeyhint']],
    [{ differ: { type: 'none', required: false } }, { 'local.differ': 'none' }, []],
    [{ differ: { type: 'metadata', required: true } }, { 'local.differ': 'metadata' }, ['differ']],
  ])('with %j', (options, attrs, caps) => {
    expect(sourceOf(local('context', options))).toMatchObject({
      identifier: 'local://context',
      attrs,
      caps: ['source.local', ...caps.map((cap) => `source.local.${cap}`)],
    });
    expect(Object.keys(sourceOf(local('context', options)).attrs)).toEqual(Object.keys(attrs));
  });

  test('have lists as Go’s JSON writes them: safe within HTML and within JavaScript', () => {
    const { attrs } = sourceOf(local('c', { followPaths: ['<&>', '\u2028\u2029', 'ä"\\', '\u0001\n'] }));
    expect(attrs['local.followpaths']).toBe(String.raw`["\u003c\u0026\u003e","\u2028\u2029","ä\"\\","\u0001\n"]`);
  });
});

describe('web addresses', () => {
  test.each<[HttpOptions, Record<string, string>, readonly string[]]>([
    [{}, {}, []],
    [{ checksum: 'sha256:x' }, { 'http.checksum': 'sha256:x' }, ['source.http.checksum']],
    [{ filename: 'f' }, { 'http.filename': 'f' }, []],
    [{ mode: 0o644 }, { 'http.perm': '0644' }, ['source.http.perm']],
    [{ mode: 0o7 }, { 'http.perm': '07' }, ['source.http.perm']],
    // Zero is what is not said.
    [{ mode: 0, uid: 0, gid: 0 }, {}, []],
    [{ uid: 5 }, { 'http.uid': '5' }, ['soruce.http.uidgid']],
    [{ uid: 5, gid: 6 }, { 'http.uid': '5', 'http.gid': '6' }, ['soruce.http.uidgid']],
    [{ authHeaderSecret: 's' }, { 'http.authheadersecret': 's' }, ['source.http.auth']],
    [
      { headers: { accept: 'text/html', userAgent: 'x/1' } },
      { 'http.header.accept': 'text/html', 'http.header.user-agent': 'x/1' },
      ['source.http.header'],
    ],
  ])('with %j', (options, attrs, caps) => {
    const found = sourceOf(http('https://host/file?q=1', options));
    expect(found).toEqual({
      identifier: 'https://host/file?q=1',
      attrs,
      caps: ['source.http', ...caps].toSorted(),
      platform: undefined,
    });
  });
});

describe('repositories', () => {
  const https: GitRemote = { url: 'https://host/a/b.git', host: 'host', path: '/a/b.git', ssh: false };
  const ssh: GitRemote = { url: 'git@host:a/b.git', host: 'host', path: 'a/b.git', ssh: true };

  // The same repository over another protocol is the same source, but for how it is reached.
  test.each<[GitOptions, string]>([
    [{}, ''],
    [{ ref: 'main' }, '#main'],
    [{ subdir: 'd/e' }, '#:d/e'],
    [{ ref: 'v1', subdir: 'd' }, '#v1:d'],
    [{ ref: '', subdir: '' }, ''],
  ])('with %j are called by host, path and what of them', (options, fragment) => {
    for (const remote of [https, ssh])
      expect(sourceOf(git(remote, options)).identifier).toBe(`git://host/a/b.git${fragment}`);
  });

  test('over https have secrets for it, and over ssh an agent and the keys of hosts', () => {
    const secrets = { 'git.authtokensecret': 'GIT_AUTH_TOKEN', 'git.authheadersecret': 'GIT_AUTH_HEADER' };
    expect(sourceOf(git(https, { knownSshHosts: 'k', sshSocket: 's' })).attrs).toEqual({
      'git.fullurl': https.url,
      ...secrets,
    });
    expect(sourceOf(git(ssh, { knownSshHosts: 'k', sshSocket: 's' }))).toMatchObject({
      attrs: { 'git.fullurl': ssh.url, 'git.knownsshhosts': 'k', 'git.mountsshsock': 's' },
      caps: ['source.git', 'source.git.fullurl', 'source.git.knownsshhosts', 'source.git.mountsshsock'],
    });
    expect(sourceOf(git(ssh)).attrs['git.mountsshsock']).toBe('default');
    // As in BuildKit, an empty name is none.
    expect(Object.keys(sourceOf(git(https, { authTokenSecret: '', authHeaderSecret: '' })).attrs)).toEqual([
      'git.fullurl',
    ]);
  });

  test.each<[GitOptions, Record<string, string>, string]>([
    [{ keepGitDir: true }, { 'git.keepgitdir': 'true' }, 'keepgitdir'],
    [{ checksum: 'abc' }, { 'git.checksum': 'abc' }, 'checksum'],
    [{ skipSubmodules: true }, { 'git.skipsubmodules': 'true' }, 'skipsubmodules'],
    [{ mtime: 'commit' }, { 'git.mtime': 'commit' }, 'mtime'],
    [{ fetchByCommit: true }, { 'git.fetchbycommit': 'true' }, 'fetchbycommit'],
  ])('with %j need a daemon that knows it', (options, attrs, cap) => {
    const found = sourceOf(git(https, options));
    expect(found.attrs).toMatchObject(attrs);
    expect(found.caps).toContain(`source.git.${cap}`);
    expect(sourceOf(git(https)).caps).not.toContain(`source.git.${cap}`);
  });
});
