import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RunOptions } from '../support/bench.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { Gnupg } from '../support/gnupg.ts';
import { hasGit, Repositories } from '../support/git-server.ts';
import { buildFrontendImage } from '../support/frontend-image.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { signing, sshKey } from '../support/signed-repository.ts';
import { readOciArchive } from '../support/tree.ts';
import { sha256 } from '../../src/util/index.ts';
import { WebServer } from '../support/web-server.ts';

const VARIABLE = 'EXPERIMENTAL_BUILDKIT_SOURCE_POLICY';
const FRONTEND = 'test/frontend:1';

interface Rule {
  readonly action: 'ALLOW' | 'DENY' | 'CONVERT';
  readonly selector: { readonly identifier: string; readonly match_type?: string };
  readonly updates?: { readonly identifier?: string; readonly attrs?: Readonly<Record<string, string>> };
}
const deny = (identifier: string): Rule => ({ action: 'DENY', selector: { identifier } });
const allow = (identifier: string): Rule => ({ action: 'ALLOW', selector: { identifier } });
const convert = (from: string, identifier: string, attrs: Readonly<Record<string, string>> = {}): Rule => ({
  action: 'CONVERT',
  selector: { identifier: from },
  updates: { identifier, attrs },
});

describeAsUser('source policies', (who) => {
  const use = useBench(who);
  const repositories = new Repositories();
  let registry: TestRegistry;
  let web: WebServer;
  let git: WebServer;
  let count = 0;
  beforeAll(async () => {
    registry = await startRegistry();
    web = await WebServer.start((request, response) => void response.end(`page ${request.url ?? ''}\n`));
    repositories.create('old.git', { file: 'old\n' });
    repositories.create('new.git', { file: 'new\n' });
    git = await repositories.serve();
    for (const name of ['one', 'two']) {
      const context = use.bench.context('FROM scratch\nCOPY file /file\n', { file: `${name}\n` });
      await use.bench.ok(['build', '-q', '--push', '-t', `${registry.host}/${name}:1`, context]);
    }
    await buildFrontendImage(use.bench, FRONTEND);
  });
  afterAll(async () => {
    for (const server of [registry, web, git]) await server[Symbol.asyncDispose]();
    repositories[Symbol.dispose]();
  });

  const policy = (...rules: readonly Rule[]): string => {
    const path = use.bench.path(`policy${count++}.json`);
    writeFileSync(path, JSON.stringify({ version: 1, rules }));
    return path;
  };
  const image = (name: string): string => `docker-image://${registry.host}/${name}:1`;
  const failed = async (args: readonly string[], options: RunOptions = {}): Promise<string> => {
    const { code, err } = await use.bench.tsbuild(['build', '--progress=plain', ...args], options);
    expect(code, err).toBe(1);
    expect(err).not.toMatch(/^\s+at \w+ \(|TypeError|undefined/m);
    return err;
  };
  /** The files of what a build gives. */
  const files = async (args: readonly string[], options: RunOptions = {}): Promise<Record<string, string>> => {
    const { stdout } = await use.bench.ok([...args, '-q', '-o', 'type=oci,dest=-'], options);
    const { tree } = await readOciArchive(stdout);
    return Object.fromEntries(Object.entries(tree).flatMap(([path, { content }]) => (content ? [[path, content]] : [])));
  }; // oxfmt-ignore
  const built = (args: readonly string[], options?: RunOptions) => files(['build', ...args], options);

  test('deny an image, with the line that wants it and the rule; nothing is asked of the registry', async () => {
    const context = use.bench.context(`FROM ${registry.host}/one:1\nRUN true\n`);
    const rules = policy(deny('*'), allow('local://*'), allow('docker-image://other.test/*'));
    const err = await failed(['--source-policy', rules, context]);
    expect(err).toContain(`source "${image('one')}" denied by policy`);
    expect(err).toMatch(/Dockerfile:1\n[\s\S]*>>> FROM/);
    expect(err).toMatch(/hint: rule 1 of policy\d+\.json denies it/);
    expect(err).not.toMatch(/^#\d+ \[.*\] RUN/m);
  });

  test('deny directories, too: a build whose Dockerfile may not be read', async () => {
    const err = await failed(['--source-policy', policy(deny('*')), use.bench.context('FROM scratch\nWORKDIR /x\n')]);
    expect(err).toContain('source "local://dockerfile" denied by policy');
  });

  test('deny a web address and a repository before the first step runs', async () => {
    const dockerfile = (add: string) => use.bench.context(`FROM base:1\nRUN echo ran\nADD ${add} /f\n`);
    for (const [address, identifier] of [
      [`${web.url}/f`, `${web.url}/f`],
      [`${git.url}/old.git#main`, `git://${git.url.slice('http://'.length)}/old.git#main`],
    ] as const) {
      const err = await failed(['--source-policy', policy(deny(identifier)), dockerfile(address)]);
      expect(err).toContain(`source "${identifier}" denied by policy`);
      expect(err).toMatch(/>>> ADD/);
      expect(err).not.toMatch(/^#\d+ [\d.]+ ran$/m);
    }
  });

  test('put one image in the place of another, in FROM and COPY --from, with the config of the new one', async () => {
    const context = use.bench.context(
      `FROM ${registry.host}/one:1\nCOPY --from=${registry.host}/one:1 /file /copied\n`,
    );
    expect(await built([context])).toEqual({ '/file': 'one\n', '/copied': 'one\n' });
    const rules = policy(convert(image('one'), image('two')));
    // What was remembered of the build without a policy does not answer for it.
    expect(await built(['--source-policy', rules, context])).toEqual({ '/file': 'two\n', '/copied': 'two\n' });
    expect(await built([context], { env: { [VARIABLE]: rules } })).toEqual({ '/file': 'two\n', '/copied': 'two\n' });
    expect(await built([context])).toEqual({ '/file': 'one\n', '/copied': 'one\n' });
    const { err } = await use.bench.ok(['build', '--progress=plain', '--no-cache', '--source-policy', rules, context]);
    expect(err).toMatch(new RegExp(`FROM ${registry.host}/two:1@sha256:`));
    expect(err).not.toMatch(new RegExp(`FROM ${registry.host}/one:1`));
  });

  test('the lock file has what was used', async () => {
    const context = use.bench.context(`FROM ${registry.host}/one:1\n`);
    const rules = policy(convert(image('one'), image('two')));
    const lock = use.bench.path(`lock${count++}`);
    const args = ['--source-policy', rules, '--lock-file', lock, context];
    await use.bench.ok(['build', '-q', '--update-lock', ...args]);
    expect(await built(['--locked', ...args])).toEqual({ '/file': 'two\n' });
    const err = await failed(['--locked', '--lock-file', lock, context]);
    expect(err).toContain(`${registry.host}/one:1`);
  });

  test('change a policy and the build is another one', async () => {
    const context = use.bench.context(`FROM ${registry.host}/one:1\n`);
    const rules = policy(convert(image('one'), image('two')));
    const build = () => built(['--source-policy', rules, context]);
    expect(await build()).toEqual({ '/file': 'two\n' });
    expect(await build()).toEqual({ '/file': 'two\n' });
    writeFileSync(rules, JSON.stringify({ rules: [allow('*')] }));
    expect(await build()).toEqual({ '/file': 'one\n' });
    writeFileSync(rules, JSON.stringify({ rules: [deny('docker-image://*')] }));
    expect(await failed(['--source-policy', rules, context])).toContain('denied by policy');
  });

  test('hold files from the web against a checksum', async () => {
    const context = use.bench.context(`FROM scratch\nADD ${web.url}/old /f\n`);
    const url = `${web.url}/old`;
    const other = policy(convert(url, `${web.url}/new`, { 'http.checksum': sha256(Buffer.from('page /new\n')) }));
    expect(await built(['--source-policy', other, context])).toEqual({ '/f': 'page /new\n' });
    const wrong = policy(convert(url, url, { 'http.checksum': sha256(Buffer.from('other')) }));
    expect(await failed(['--source-policy', wrong, context])).toContain(sha256(Buffer.from('other')));
  });

  test('hold an image against a digest', async () => {
    const context = use.bench.context(`FROM ${registry.host}/one:1\n`);
    const rules = policy(convert(image('one'), image('one'), { 'image.checksum': sha256(Buffer.from('other')) }));
    const err = await failed(['--source-policy', rules, context]);
    expect(err).toMatch(/image digest sha256:\w+ for .*one:1.* does not match expected checksum sha256:/);
  });

  test('demand that files from the web are signed', async () => {
    using gnupg = new Gnupg();
    for (const name of ['alice', 'bob']) gnupg.make(name, 'ed25519');
    const url = `${web.url}/f`;
    const context = use.bench.context(`FROM scratch\nADD ${url} /f\n`);
    const demand = (attrs: Readonly<Record<string, string>>): string => policy(convert(url, url, attrs));
    const signature = gnupg.sign('alice', 'page /f\n');
    const [alice, bob] = ['alice', 'bob'].map((name) => ({
      'http.sig.pubkey': gnupg.export(name),
      'http.sig.signature': signature,
    }));
    expect(await built(['--source-policy', demand(alice!), context])).toEqual({ '/f': 'page /f\n' });
    const err = await failed(['--source-policy', demand(bob!), context]);
    expect(err).toMatch(/Cannot verify the signature of ".*\/f": it was made with OpenPGP key \w{16}, and the public/);
    expect(err).toMatch(/>>> ADD/);
    expect(await failed(['--source-policy', demand({ 'http.sig.level': '9' }), context])).toMatch(
      /its attribute "http\.sig\.level" is not supported/,
    );
  });

  test.skipIf(!hasGit)('demand that commits are signed, also of what is built already', async () => {
    const [alice, bob] = [sshKey(repositories, 'alice'), sshKey(repositories, 'bob')];
    repositories.create('signed.git', { file: 'signed\n' });
    signing(repositories, 'alice', 'signed.git', 'commit', '-q', '-S', '--allow-empty', '-m', 'signed');
    const name = `git://${git.url.slice('http://'.length)}/signed.git`;
    const demand = (key: string): string => policy(convert(`${name}*`, '', { 'git.sig.pubkey': key }));
    const context = use.bench.context(`FROM scratch\nADD ${git.url}/signed.git#main /r\n`);
    const files = { '/r/file': 'signed\n' };
    expect(await built([context])).toEqual(files);
    for (const args of [[], ['--cache-from', `${registry.host}/none`]]) {
      const err = await failed(['--source-policy', demand(bob), ...args, context]);
      expect(err).toMatch(/Cannot verify the signature of commit \w{40}: it was made with SSH key SHA256:\S+, and/);
    }
    expect(await built(['--source-policy', demand(alice), context])).toEqual(files);
    expect(await failed(['--source-policy', demand(bob), context])).toContain('Cannot verify the signature');
  });

  test.skipIf(!hasGit)('put one repository in the place of another', async () => {
    const place = git.url.slice('http://'.length);
    const rules = policy(
      convert(`git://${place}/old.git*`, `git://${place}/new.git$1`, { 'git.fullurl': `${git.url}/new.git` }),
    );
    const context = use.bench.context(`FROM scratch\nADD ${git.url}/old.git#main /r\n`);
    expect(await built(['--source-policy', rules, context])).toEqual({ '/r/file': 'new\n' });
  });

  test('hold for contexts: an image becomes a directory where a name stands for it, and for nothing else', async () => {
    const other = use.bench.write(`other${count++}`, { file: 'of a directory\n' });
    const context = use.bench.context('FROM scratch AS replace\nFROM scratch\nCOPY --from=replace /file /\n');
    const contexts = [
      '--build-context',
      `replace=docker-image://${registry.host}/one:1`,
      '--build-context',
      `here=${other}`,
    ];
    const rules = policy(convert(image('one'), 'local://here'));
    expect(await built(['--source-policy', rules, ...contexts, context])).toEqual({ '/file': 'of a directory\n' });
    const based = use.bench.context(`FROM ${registry.host}/one:1\n`);
    const err = await failed(['--source-policy', rules, ...contexts, based]);
    expect(err).toContain(`ref mutated by policy to non-image: ${image('one')} -> local://here`);
  });

  test('hold for a Dockerfile and for checks of it', async () => {
    const context = use.bench.context(`FROM ${registry.host}/one:1\n`);
    const rules = policy(deny(`docker-image://${registry.host}/*`));
    const { code, err, out } = await use.bench.tsbuild(['build', '--check', '--source-policy', rules, context]);
    expect(code).toBe(1);
    expect(out + err).toContain('denied by policy');
    const remote = await failed(['-f', `${web.url}/Dockerfile`, '--source-policy', policy(deny(`${web.url}/*`)), context]);
    expect(remote).toContain(`source "${web.url}/Dockerfile" denied by policy`);
  }); // oxfmt-ignore

  test('hold for graphs of other programs', async () => {
    const context = use.bench.context(`FROM ${registry.host}/one:1\nADD ${web.url}/old /page\nCOPY own /own\n`, {
      own: 'own\n',
    });
    const { stdout: stdin } = await use.bench.ok(['llb', context]);
    const solve = ['solve', '--local', `context=${context}`];
    const rules = policy(
      convert(`${image('one')}*`, image('two')),
      convert(`${web.url}/old`, `${web.url}/new`),
      deny(image('one')),
    );
    const wanted = { '/file': 'two\n', '/page': 'page /new\n', '/own': 'own\n' };
    for (const flag of ['--source-policy', '--source-policy-file'])
      expect(await files([...solve, flag, rules], { stdin })).toEqual(wanted);
    const denied = await use.bench.tsbuild([...solve, '--source-policy', policy(deny('local://*'))], { stdin });
    expect(denied).toMatchObject({ code: 1, err: expect.stringContaining('source "local://context" denied') as string });
  }); // oxfmt-ignore

  test('hold for frontend images and for the graphs that they make', async () => {
    const recipe = { base: `${registry.host}/one:1`, copy: ['own'] };
    const context = use.bench.context(`# syntax=${FRONTEND}\n${JSON.stringify(recipe)}\n`, { own: 'own\n' });
    const args = (rules: string): readonly string[] => ['--allow', 'frontend', '--source-policy', rules, context];
    expect(await built(args(policy(convert(image('one'), image('two')))))).toEqual({ '/file': 'two\n', '/own': 'own\n' });
    expect(await failed(args(policy(deny(image('one')))))).toContain(`source "${image('one')}" denied by policy`);
    expect(await failed(args(policy(deny('docker-image://*/test/frontend:*'))))).toMatch(
      /source "docker-image:\/\/docker\.io\/test\/frontend:1" denied by policy/,
    );
    expect(await failed(args(policy(deny('local://context'))))).toContain('source "local://context" denied by policy');
  }); // oxfmt-ignore

  test('that are none are told by the name of their file', async () => {
    const context = use.bench.context('FROM scratch\nWORKDIR /x\n');
    const file = use.bench.path(`bad${count++}.json`);
    writeFileSync(file, '{"rules": [{"action": "DENY", "selector": {"identifier": "(", "match_type": "REGEX"}}]}');
    expect(await failed(['--source-policy', file, context])).toMatch(/bad\d+\.json": rule 1 has an invalid regex "\("/);
    const { code, err } = await use.bench.tsbuild(['build', '--source-policy', join('no', 'such'), context]);
    expect(code).toBe(1);
    expect(err).toMatch(/Cannot read source policy ".*no\/such": it does not exist/);
  });
});
