import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GitObject, signedObject } from '../../src/signatures/git-object.ts';
import { type CommitDemands, verifyCommit } from '../../src/signatures/index.ts';
import { InvalidSignatureError, isTsbuildError } from '../../src/util/index.ts';
import { hasGit, Repositories } from '../support/git-server.ts';
import { Gnupg } from '../support/gnupg.ts';
import { objectOf, signing, sshKey } from '../support/signed-repository.ts';

describe.runIf(hasGit).each(['sha1', 'sha256'])('commits and tags of git, %s', (format) => {
  const repositories = new Repositories();
  const names = new Map<string, GitObject>();
  let [alice, bob] = ['', ''];
  beforeAll(() => {
    [alice, bob] = [sshKey(repositories, 'alice'), sshKey(repositories, 'bob')];
    mkdirSync(join(repositories.root, 'app'));
    repositories.git('app', 'init', '-q', '-b', 'main', `--object-format=${format}`, '.');
    repositories.commit('app', { file: 'one' });
    repositories.git('app', 'tag', '-a', '-m', 'plain\n\nof nobody', 'plain-of-nobody');
    signing(repositories, 'bob', 'app', 'tag', '-s', '-m', 'by bob', 'bob-of-nobody');
    signing(
      repositories,
      'alice',
      'app',
      'commit',
      '-q',
      '-S',
      '--allow-empty',
      '-m',
      'by alice ü\n\nof more\nlines\n',
    );
    repositories.git('app', 'tag', '-a', '-m', 'plain', 'plain-of-alice');
    signing(repositories, 'bob', 'app', 'tag', '-s', '-m', 'by bob', 'bob-of-alice');
    for (const name of repositories.git('app', 'tag').split('\n')) names.set(name, objectOf(repositories, 'app', name));
    for (const name of ['plain-of-nobody', 'plain-of-alice'])
      names.set(name.slice('plain-of-'.length), objectOf(repositories, 'app', `${name}^{commit}`));
  });
  afterAll(() => repositories[Symbol.dispose]());

  const get = (name: string): GitObject => names.get(name)!;
  /** `ok`, or the message. */
  function outcome(
    commit: string,
    tag: string | undefined,
    publicKey: string,
    more: Partial<CommitDemands> = {},
  ): string {
    try {
      const objects = { commit: get(commit), ...(tag === undefined ? {} : { tag: get(tag) }) };
      verifyCommit(
        objects,
        {
          publicKey,
          rejectExpired: false,
          requireSignedTag: false,
          ignoreSignedTag: false,
          ...more,
        },
        Date.now(),
      );
      return 'ok';
    } catch (error) {
      if (!isTsbuildError(error, 'TSB_SIGNATURE')) throw error;
      expect(error.hint).toBeDefined();
      return error.message;
    }
  }

  test('count by themselves, and by their signed tag', () => {
    expect(outcome('alice', undefined, alice)).toBe('ok');
    expect(outcome('alice', 'bob-of-alice', alice)).toBe('ok');
    expect(outcome('alice', 'bob-of-alice', bob)).toBe('ok');
    expect(outcome('alice', 'plain-of-alice', alice)).toBe('ok');
    expect(outcome('nobody', 'bob-of-nobody', bob)).toBe('ok');
  });

  test('fail with what was looked at, and why', () => {
    const cannot = (name: string): string => `Cannot verify the signature of ${get(name).kind} ${get(name).sha}: `;
    expect(outcome('nobody', undefined, alice)).toBe(`${cannot('nobody')}it is not signed`);
    expect(outcome('alice', undefined, bob)).toMatch(new RegExp(`^${cannot('alice')}it was made with SSH key SHA256:\\S+, and the public key that is named is SHA256:\\S+$`)); // oxfmt-ignore
    expect(outcome('nobody', 'bob-of-nobody', alice)).toMatch(
      /it is not signed; nor of its tag: it was made with SSH key/,
    );
    expect(outcome('nobody', 'plain-of-nobody', alice)).toMatch(/it is not signed; nor of its tag: it is not signed$/);
    expect(outcome('alice', undefined, 'no key')).toContain('the SSH public key cannot be used: it holds no key');
  });

  test('need a signed tag where that is demanded', () => {
    const more = { requireSignedTag: true };
    expect(outcome('alice', 'bob-of-alice', bob, more)).toBe('ok');
    expect(outcome('alice', 'bob-of-alice', alice, more)).toContain('it was made with SSH key');
    expect(outcome('alice', 'plain-of-alice', alice, more)).toMatch(/of tag \w+: it is not signed$/);
    expect(outcome('alice', undefined, alice, more)).toContain('wants a signed tag, and it was not asked for by one');
  });

  test('need their own signature where tags are not to count', () => {
    const more = { ignoreSignedTag: true };
    expect(outcome('alice', 'bob-of-alice', alice, more)).toBe('ok');
    expect(outcome('nobody', 'bob-of-nobody', bob, more)).toMatch(/it is not signed$/);
    expect(outcome('alice', 'bob-of-alice', bob, { ...more, requireSignedTag: true })).toContain('passes over it');
  });

  test('are what git signed', () => {
    const { data, signature } = signedObject(get('bob-of-alice'));
    expect(data.toString()).toMatch(/^object \w+\ntype commit\ntag bob-of-alice\ntagger .*\n\nby bob\n$/);
    expect(signature).toMatch(/^-----BEGIN SSH SIGNATURE-----\n/);
    expect(signedObject(get('alice')).data.toString()).toMatch(/^tree \w+\n.*\n\nby alice ü\n\nof more\nlines\n$/s);
  });

  test('that are not what their hash says are none, whatever they say (property)', () => {
    for (const name of ['alice', 'bob-of-alice', 'nobody']) {
      const object = get(name);
      fc.assert(
        fc.property(fc.nat(object.raw.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, flip, cut) => {
          const raw = Buffer.from(cut ? object.raw.subarray(0, at) : object.raw);
          if (!cut) raw[at] = raw[at]! ^ flip;
          expect(() => signedObject({ ...object, raw })).toThrow(/its content is not that of/);
        }),
        { numRuns: 50 },
      );
    }
  });

  test('of any bytes are refused or taken apart, and nothing of them is lost (property)', async () => {
    const { createHash } = await import('node:crypto');
    const line = fc.oneof(
      fc.constantFrom('', 'tree x', 'author x', 'committer x', 'object x', 'type x', 'tag x', 'tagger x', 'gpgsig a', ' b', 'gpgsig-sha256 c', '-----BEGIN PGP SIGNATURE-----', 'm'),
      fc.string({ unit: 'binary', maxLength: 5 }),
    ); // oxfmt-ignore
    fc.assert(
      fc.property(fc.array(line, { maxLength: 20 }), fc.constantFrom('commit', 'tag'), (lines, kind) => {
        const raw = Buffer.from(lines.join('\n'), 'latin1');
        const sha = createHash(format).update(`${kind} ${raw.length}\0`).update(raw).digest('hex');
        try {
          const { data, signature } = signedObject({ kind, sha, raw });
          if (signature === undefined) expect(data.equals(raw)).toBe(true);
          else expect(data.length).toBeLessThan(raw.length);
        } catch (error) {
          if (!(error instanceof InvalidSignatureError)) throw error;
        }
      }),
    );
  });
});

const none: GitObject = { kind: 'commit', sha: '', raw: Buffer.alloc(0) };

describe.runIf(hasGit)('commits and tags that are signed with OpenPGP', () => {
  const repositories = new Repositories();
  const gnupg = new Gnupg();
  let [alice, carol] = ['', ''];
  let [commit, tag] = [none, none];
  beforeAll(() => {
    gnupg.make('alice', 'rsa2048');
    gnupg.make('carol', 'ed25519');
    [alice, carol] = [gnupg.export('alice'), gnupg.export('carol')];
    repositories.create('app', { file: 'one' });
    const sign = (...args: readonly string[]): string =>
      repositories.git('app', '-c', `gpg.program=${gnupg.program()}`, '-c', 'user.signingkey=alice', ...args);
    sign('commit', '-q', '-S', '--allow-empty', '-m', 'by alice ü\n\nand more\n');
    sign('tag', '-s', '-m', 'by alice', 'v1');
    [commit, tag] = [objectOf(repositories, 'app', 'main'), objectOf(repositories, 'app', 'v1')];
  });
  afterAll(() => {
    gnupg[Symbol.dispose]();
    repositories[Symbol.dispose]();
  });
  const demands = { rejectExpired: true, requireSignedTag: false, ignoreSignedTag: false };

  test('hold, each by itself', () => {
    verifyCommit({ commit }, { ...demands, publicKey: alice }, Date.now());
    verifyCommit({ commit, tag }, { ...demands, publicKey: carol + alice, requireSignedTag: true }, Date.now());
  });

  test('do not hold for others, or for keys of another kind', () => {
    const why = (publicKey: string): string => {
      try {
        verifyCommit({ commit }, { ...demands, publicKey }, Date.now());
        return 'ok';
      } catch (error) {
        if (!isTsbuildError(error, 'TSB_SIGNATURE')) throw error;
        return error.message;
      }
    };
    expect(why(carol)).toMatch(/^Cannot verify the signature of commit \w{40}: it was made with OpenPGP key [0-9A-F]{16}, and the public key that is named is [0-9A-F]{40}$/); // oxfmt-ignore
    expect(why('ssh-ed25519 AAAA')).toMatch(/: the OpenPGP public key cannot be used: it holds no key in an armour$/);
  });
});
