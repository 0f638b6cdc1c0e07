import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BlobOrigins } from '../../src/source/blob-origins.ts';
import { gitEnvironment } from '../../src/source/git-access.ts';
import type { GitRequest } from '../../src/source/git-types.ts';
import { isCommitHash, parseGitUrl } from '../../src/source/git-url.ts';
import { parseLayoutReference } from '../../src/source/layout-reference.ts';
import { newestEntry } from '../../src/source/newest-entry.ts';
import { sha256 } from '../../src/util/index.ts';
import { tar } from '../support/image.ts';

let dir = '';
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), 'tsbuild-source-'))));
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('the address of a git repository', () => {
  test.each<[string, object]>([
    ['https://host.test/a/b.git', { url: 'https://host.test/a/b.git', host: 'host.test', ssh: false }],
    ['https://host.test', { url: 'https://host.test', host: 'host.test', ssh: false }],
    ['http://[::1]:8080/x', { url: 'http://[::1]:8080/x', host: '[::1]:8080', ssh: false }],
    ['git://host.test/x', { url: 'git://host.test/x', host: 'host.test', ssh: false }],
    ['https://user:pass@host.test/x', { url: 'https://host.test/x', host: 'host.test', ssh: false, credentials: 'user:pass' }],
    ['https://token@host.test/x', { url: 'https://host.test/x', host: 'host.test', ssh: false, credentials: 'token:' }],
    ['https://@host.test/x', { url: 'https://host.test/x', host: 'host.test', ssh: false }],
    ['ssh://git@host.test:2222/x', { url: 'ssh://git@host.test:2222/x', host: 'host.test:2222', ssh: true }],
    ['ssh://host.test/x', { url: 'ssh://host.test/x', host: 'host.test', ssh: true }],
    ['git@host.test:a/b.git', { url: 'git@host.test:a/b.git', host: 'host.test', ssh: true }],
    ['me@10.0.0.1:/srv/x', { url: 'me@10.0.0.1:/srv/x', host: '10.0.0.1', ssh: true }],
  ])('%s is understood', (text, parts) => expect(parseGitUrl(text)).toEqual(parts)); // oxfmt-ignore

  test('keeps no password, whatever the transport (SEC-07)', () => {
    const word = fc.stringMatching(/^[a-z0-9.%~+-]{1,8}$/);
    fc.assert(
      fc.property(fc.constantFrom('http', 'https', 'ssh', 'git'), word, word, (scheme, user, password) => {
        fc.pre(!user.startsWith('-'));
        const { url } = parseGitUrl(`${scheme}://${user}:S3CRET${password}@host.test/x.git`);
        expect(url).not.toContain('S3CRET');
        expect(parseGitUrl(url).url).toBe(url);
      }),
    );
  });

  // GIT-01: what git takes for an option, a path, a program or another transport.
  test.each([
    '--upload-pack=touch /tmp/x', '-x', '', ' ', 'ext::sh -c touch', 'ext::sh', 'file:///etc', '/srv/repository', './x', '../x', 'C:\\x',
    'fd::3', 'ssh://-oProxyCommand=x/y', 'ssh://-oProxyCommand=x@host/y', '-oProxyCommand=x@host:y', 'user@-host:x', 'user@host:-x',
    'https://', 'https:///x', 'https://:80/x', 'https://user@/x', 'HTTPS://host/x', 'ftp://host/x', 'https://a b/x', 'https://host/x\ny',
    'https://host/\u0000', 'git@host', 'us$er@host:x', 'user@ho$t:x', 'https://host:port/x', 'https://a@b@c/x', 'https://host?x', 'transport::https://x',
  ])('%j is refused', (text) => {
    expect(() => parseGitUrl(text)).toThrow(expect.objectContaining({ code: 'TSB_CONTEXT' }));
  }); // oxfmt-ignore

  test('is understood or refused, whatever it is, and what is told of it has no password', () => {
    const piece = fc.constantFrom('https', 'ssh', '://', '@', ':', '/', 'host', '-', 'S3CRET', '[', ']', '::', '.', '?', '#', ' ', '%', '1');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('');
        try {
          const { url, host } = parseGitUrl(text);
          expect(host).not.toMatch(/^-|[\s@/]/);
          expect(url).not.toMatch(/^-/);
        } catch (error) {
          expect(error).toMatchObject({ code: 'TSB_CONTEXT', message: expect.stringMatching(/^Cannot use git repository/) as string });
        }
      }),
      { numRuns: 1000 },
    );
    expect(() => parseGitUrl('https://user:S3CRET@/x')).toThrow(/^(?!.*S3CRET)/);
  }); // oxfmt-ignore

  test('a commit is named by all of its hash', () => {
    for (const hash of ['a'.repeat(40), '0'.repeat(64)]) expect(isCommitHash(hash)).toBe(true);
    for (const text of ['a'.repeat(39), 'a'.repeat(41), 'A'.repeat(40), 'g'.repeat(40), '', `${'a'.repeat(40)}\n`])
      expect(isCommitHash(text)).toBe(false);
  });
});

describe('what git may use to get in', () => {
  const access = (url: string, more: GitRequest['access'] = {}, home = dir) =>
    gitEnvironment({ home, temporary: () => dir, now: () => 0 }, { access: more } as GitRequest, parseGitUrl(url), dir);

  test('credentials are for the repository alone, and follow no redirect (GIT-07)', () => {
    expect(access('https://a%40b:p%3aw@host.test/x.git').secretConfig).toEqual([
      ['http.https://host.test/x.git.extraHeader', `Authorization: Basic ${Buffer.from('a@b:p:w').toString('base64')}`],
      ['http.https://host.test/x.git.followRedirects', 'false'],
    ]);
    // Submodules of a repository on GitHub are mostly there, too.
    const github = access('https://github.com/me/x', { authorization: 'Bearer t' }).secretConfig;
    expect(github[0]).toEqual(['http.https://github.com/.extraHeader', 'Authorization: Bearer t']);
    for (const other of ['https://github.com.evil.test/x', 'https://evil.test/github.com/', 'http://github.com/x'])
      expect(access(other, { authorization: 'Bearer t' }).secretConfig[0]?.[0]).toBe(`http.${other}.extraHeader`);
    expect(access('https://host.test/x').secretConfig).toEqual([]);
    expect(access('git@host.test:x', { authorization: 'Bearer t' }).secretConfig).toEqual([]);
    expect(access('https://bad%zz:x@host.test/y').secretConfig[0]?.[1]).toBe(
      `Authorization: Basic ${Buffer.from('bad%zz:x').toString('base64')}`,
    );
  });

  test('a header is one, whatever a secret has in it', () => {
    const [[, header] = ['', '']] = access('https://host.test/x', {
      authorization: 'Bearer t\r\nX-Evil: 1',
    }).secretConfig;
    expect(header).toBe('Authorization: Bearer tX-Evil: 1');
  });

  test('of ssh nothing is the user’s own but hosts that are known (GIT-10)', () => {
    const { sshCommand } = access('git@host.test:x');
    for (const option of ['StrictHostKeyChecking=yes', 'BatchMode=yes', 'IdentityFile=/dev/null', 'ForwardAgent=no', 'GlobalKnownHostsFile=/dev/null'])
      expect(sshCommand).toContain(`'${option}'`);
    expect(sshCommand).toMatch(/^'ssh' '-F' '\/dev\/null'/);
    const { sshCommand: given } = access('git@host.test:x', { knownHosts: 'host.test ssh-ed25519 AAAA\n' });
    expect(given).toContain(`'UserKnownHostsFile="${dir}/known_hosts"'`);
    expect(readFileSync(join(dir, 'known_hosts'), 'utf8')).toBe('host.test ssh-ed25519 AAAA\n');
    expect(statSync(join(dir, 'known_hosts')).mode & 0o777).toBe(0o600);
  }); // oxfmt-ignore

  test('and ssh understands that, whatever the home directory is called', () => {
    const home = join(dir, `a b'c"d%h\\e`);
    mkdirSync(join(home, '.ssh'), { recursive: true });
    writeFileSync(join(home, '.ssh/known_hosts'), '');
    const { sshCommand } = access('git@host.test:x', {}, home);
    // As git starts it; -G says what all options are.
    const lines = execFileSync('/bin/sh', ['-c', `${sshCommand} -G host.test`], { encoding: 'utf8' }).split('\n');
    expect(lines).toContain(`userknownhostsfile ${home}/.ssh/known_hosts`);
    expect(lines).toContain('identityfile /dev/null');
    expect(lines).toContain('batchmode yes');
  });
});

describe('a layout that is named', () => {
  const digest = sha256('x');
  test.each<[string, object]>([
    ['oci-layout://dir', { path: 'dir' }],
    ['oci-layout:///a/b:1.2', { path: '/a/b', tag: '1.2' }],
    [`oci-layout://./x@${digest}`, { path: './x', digest }],
    [`oci-layout://x:v1@${digest}`, { path: 'x', tag: 'v1', digest }],
    // A colon before the last slash belongs to the path.
    ['oci-layout:///c:d/e', { path: '/c:d/e' }],
    ['oci-layout:///a@b', { path: '/a@b' }],
    ['oci-layout://a b/ü', { path: 'a b/ü' }],
    ['oci-layout://x:.hidden', { path: 'x:.hidden' }],
  ])('%s', (text, parts) => expect(parseLayoutReference(text)).toEqual(parts));

  test.each([
    ['oci-layout://', 'TSB_USAGE'],
    ['oci-layout:x', 'TSB_USAGE'],
    ['docker.io/library/x', 'TSB_USAGE'],
    ['oci-layout://a\0b', 'TSB_USAGE'],
    ['', 'TSB_USAGE'],
    ['oci-layout://x@sha256:short', 'TSB_DIGEST'],
  ])('%j is none', (text, code) => {
    expect(() => parseLayoutReference(text)).toThrow(expect.objectContaining({ code }));
  });
});

describe('where a blob was seen', () => {
  /** What remembers facts, as the index of a store does. */
  function facts() {
    const all = new Map<string, unknown>();
    let writes = 0;
    return {
      all,
      get writes() {
        return writes;
      },
      get: (kind: string, name: string) => (all.has(`${kind} ${name}`) ? { value: all.get(`${kind} ${name}`), at: 0 } : undefined),
      put: (kind: string, name: string, value: unknown) => void (writes++, all.set(`${kind} ${name}`, value)),
    };
  } // oxfmt-ignore
  const [one, other] = [sha256('1'), sha256('2')];
  const at = (path: string) => ({ host: 'r.test', path });

  test('are the last four repositories, the latest first', () => {
    const known = facts();
    const origins = new BlobOrigins(known);
    expect(origins.of(one)).toEqual([]);
    for (const path of ['a', 'b', 'c', 'b', 'd', 'e']) origins.note([one], at(path));
    expect(origins.of(one)).toEqual(['e', 'd', 'b', 'c'].map(at));
    expect(origins.of(other)).toEqual([]);
    // What is known is not written again.
    const before = known.writes;
    origins.note([one], at('e'));
    expect(known.writes).toBe(before);
    origins.note([one, other], at('e'));
    expect(origins.of(other)).toEqual([at('e')]);
  });

  test('are none where what is remembered makes no sense', () => {
    const known = facts();
    const origins = new BlobOrigins(known);
    origins.note([one], at('a'));
    const [key = ''] = known.all.keys();
    for (const value of [null, 'r.test/a', { 0: 'x' }, [1, null, {}], ['', '../..', 'UPPER/CASE space']]) {
      known.all.set(key, value);
      expect(origins.of(one)).toEqual([]);
    }
  });
});

describe('the time of an archive', () => {
  /** An archive with files of these times. */
  function archive(...times: readonly number[]): Buffer {
    const bytes = tar(times.map((_, at) => ({ name: `f${at}`, content: 'x' })));
    for (const [at, time] of times.entries()) {
      const header = bytes.subarray(at * 1024, at * 1024 + 512);
      header.write(`${time.toString(8).padStart(11, '0')}\0`, 136);
      header.fill(' ', 148, 156);
      header.write(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148);
    }
    return bytes;
  } // oxfmt-ignore
  const timeOf = (bytes: Uint8Array): Promise<number | undefined> => {
    writeFileSync(join(dir, 'archive'), bytes);
    return newestEntry(join(dir, 'archive'));
  };

  test('is that of its newest file, compressed or not', async () => {
    expect(await timeOf(archive(5, 1_700_000_000, 7))).toBe(1_700_000_000);
    expect(await timeOf(gzipSync(archive(9, 8)))).toBe(9);
    expect(await timeOf(archive(0))).toBe(0);
  });

  test('is none of what is none, or has no files', async () => {
    for (const bytes of [Buffer.alloc(0), Buffer.from('text'), Buffer.alloc(1024), gzipSync(archive(5)).subarray(0, 40), tar([{ name: 'd', type: '5' }])])
      expect(await timeOf(bytes)).toBeUndefined();
  }); // oxfmt-ignore
});
