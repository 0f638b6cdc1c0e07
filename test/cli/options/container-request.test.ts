import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { LifeOptions, ProcessOptions } from '../../../src/cli/options/container-options.ts';
import { parseLife, parseProcess, parseSeconds } from '../../../src/cli/options/container-request.ts';
import { readEnvFile } from '../../../src/cli/options/env-file.ts';
import type { ImageConfig } from '../../../src/image/index.ts';
import { isTsbuildError } from '../../../src/util/index.ts';
import { fakeContext } from '../../fakes/cli-context.ts';

const dir = fs.mkdtempSync(join(tmpdir(), 'tsbuild-request-'));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));
const context = fakeContext({ cwd: dir, env: { OUTSIDE: 'from outside' } });
const image = (config: object = {}): ImageConfig => ({ config }) as unknown as ImageConfig;
const life = (options: LifeOptions, config: object = {}, from = context) =>
  parseLife(from, options, false)(image(config));
const process = (options: ProcessOptions, command: readonly string[] = []) =>
  parseProcess(context, command, options, []);
/** What is refused: the message, and what is said to do instead. */
async function refusal(work: () => unknown): Promise<{ readonly message: string; readonly hint: string | undefined }> {
  const error: unknown = await (async () => work())().catch((caught: unknown) => caught);
  if (!isTsbuildError(error)) throw new Error(`Not refused: ${String(error)}`);
  return { message: error.message, hint: error.hint };
}

describe('the life of a container', () => {
  test('without options is the image’s, or docker’s', () => {
    expect(life({})).toEqual({
      autoRemove: false,
      detached: false,
      restart: { name: 'no', most: 0 },
      stopSignal: 'SIGTERM',
      stopTimeout: 10,
      labels: {},
      log: { maxBytes: 64 * 2 ** 20, maxFiles: 2 },
    });
    expect(life({}, { StopSignal: 'SIGQUIT', Labels: { a: '1' } })).toMatchObject({
      stopSignal: 'SIGQUIT',
      labels: { a: '1' },
    });
  });

  test('labels: of the image, of files, of options, the later ones count; one without a value is empty', () => {
    fs.writeFileSync(join(dir, 'labels'), '# of us\n\n a=file \r\nb=file\nc\n');
    const { labels } = life(
      { labelFile: ['labels'], label: ['b=option', 'd', 'e=x=y'] },
      { Labels: { a: 'image', z: 'image' } },
    );
    // As with docker, spaces at the end belong to the value.
    expect(labels).toEqual({ a: 'file ', b: 'option', c: '', d: '', e: 'x=y', z: 'image' });
  });

  test.each([
    ['no', { name: 'no', most: 0 }],
    ['always', { name: 'always', most: 0 }],
    ['unless-stopped', { name: 'unless-stopped', most: 0 }],
    ['on-failure', { name: 'on-failure', most: 0 }],
    ['on-failure:3', { name: 'on-failure', most: 3 }],
  ])('--restart %s', (text, restart) => {
    expect(life({ restart: text }).restart).toEqual(restart);
  });

  test('logs: how large, and how many', () => {
    expect(life({ logOpt: ['max-size=10k', 'max-file=3'] }).log).toEqual({ maxBytes: 10_240, maxFiles: 3 });
    expect(life({ logOpt: ['max-size=-1'] }).log).toEqual({ maxBytes: 0, maxFiles: 2 });
  });

  test('a scope is what was typed, else what the environment says, and nothing is none', () => {
    const inside = fakeContext({ env: { TSBUILD_SCOPE: 'job-7' } });
    expect(life({}, {}, inside)).toMatchObject({ scope: 'job-7' });
    expect(life({ scope: 'mine' }, {}, inside)).toMatchObject({ scope: 'mine' });
    expect(life({ scope: '' }, {}, inside)).not.toHaveProperty('scope');
  });

  test.each<[LifeOptions, string]>([
    [{ restart: 'sometimes' }, 'Cannot use --restart "sometimes"'],
    [{ restart: 'always:3' }, 'Cannot use --restart "always:3"'],
    [{ restart: 'on-failure:x' }, 'Cannot use --restart "on-failure:x"'],
    [{ restart: 'on-failure:1:2' }, 'Cannot use --restart "on-failure:1:2"'],
    [{ rm: true, restart: 'always' }, 'Cannot use --rm with --restart'],
    [{ logOpt: ['tga=x'] }, 'Cannot use --log-opt tga: there are max-size and max-file'],
    [{ logOpt: ['max-file=0'] }, 'Cannot use --log-opt max-file=0: expected a number from 1 to 99'],
    [{ logOpt: ['max-file'] }, 'Cannot use --log-opt "max-file": the value is missing'],
    [{ label: ['=x'] }, 'Cannot use --label "=x": the name is missing'],
    [{ labelFile: ['none'] }, 'Cannot read label file "none"'],
    [{ stopSignal: 'SIGNONE' }, 'SIGNONE'],
    [{ stopTimeout: 'soon' }, 'Cannot use --stop-timeout "soon": expected a number of seconds'],
    [{ healthRetries: 'x' }, 'Cannot use --health-retries "x": expected a number'],
    [{ healthCmd: 'true', healthInterval: 'often' }, 'Cannot use --health-interval "often": expected for example 90s'],
    [{ healthTimeout: '' }, 'Cannot use --health-timeout "": expected'],
    [{ healthStartPeriod: '-1s' }, 'Cannot use --health-start-period "-1s": expected'],
    [{ healthStartInterval: '5' }, 'Cannot use --health-start-interval "5": expected'],
    [{ healthInterval: '0.4ms' }, 'Cannot use --health-interval "0.4ms": it is less than 1ms'],
    [{ logOpt: ['max-size=big'] }, 'Cannot use --log-opt max-size=big: expected a number and a unit'],
    [{ logOpt: ['max-size=0'] }, 'Cannot use --log-opt max-size=0: expected a size'],
    [{ healthcheck: false, healthCmd: 'true' }, 'Cannot use --no-healthcheck with other options'],
    [{ healthcheck: false, healthInterval: '1s' }, 'Cannot use --no-healthcheck with other options'],
  ])('%j is refused', async (options, message) => {
    expect((await refusal(() => life(options))).message).toContain(message);
  });

  test('times that are to be waited: whole seconds, or without an end', () => {
    expect(['0', '7', '-1'].map((text) => parseSeconds('--time', text))).toEqual([0, 7, -1]);
    for (const text of ['', '-2', '1.5', '1s', ' 1', '123456789'])
      expect(() => parseSeconds('--time', text)).toThrow(`Cannot use --time ${JSON.stringify(text)}`);
  });
});

describe('the check of a container', () => {
  const CHECK = {
    Test: ['CMD-SHELL', 'curl', 'x'],
    Interval: 5e9,
    Timeout: 1,
    StartPeriod: 0,
    StartInterval: 2e9,
    Retries: 5,
  };

  test('is the image’s, whose times are nanoseconds and at least a millisecond here', () => {
    expect(life({}, { Healthcheck: CHECK }).health).toEqual({
      test: ['/bin/sh', '-c', 'curl x'],
      interval: 5000,
      timeout: 1,
      startPeriod: 0,
      startInterval: 2000,
      retries: 5,
    });
    expect(life({}, { Healthcheck: CHECK, Shell: ['/bin/bash', '-euc'] }).health?.test).toEqual([
      '/bin/bash',
      '-euc',
      'curl x',
    ]);
  });

  test('is changed by options one by one, and replaced by --health-cmd', () => {
    const options = {
      healthInterval: '1s',
      healthTimeout: '2s',
      healthStartPeriod: '4s',
      healthStartInterval: '3s',
      healthRetries: '1',
    };
    expect(life(options, { Healthcheck: CHECK }).health).toMatchObject({
      interval: 1000,
      timeout: 2000,
      startPeriod: 4000,
      startInterval: 3000,
      retries: 1,
    });
    expect(life({ healthCmd: 'test -e /up' }, { Healthcheck: { ...CHECK, Test: ['NONE'] } }).health?.test).toEqual([
      '/bin/sh',
      '-c',
      'test -e /up',
    ]);
    // 0 is for the default, as in images.
    // Docker: "0 means inherit".
    const zeros = { healthInterval: '0', healthTimeout: '0s', healthStartPeriod: '0ms', healthStartInterval: '0h0m' };
    expect(life(zeros, { Healthcheck: CHECK }).health).toEqual(life({}, { Healthcheck: CHECK }).health);
    expect(life({ ...zeros, healthRetries: '0', healthCmd: 'x' }).health).toEqual({
      test: ['/bin/sh', '-c', 'x'],
      interval: 30_000,
      timeout: 30_000,
      startPeriod: 0,
      startInterval: 5000,
      retries: 3,
    });
  });

  test.each([
    ['there is none', {}, {}],
    ['the image takes its base’s away', {}, { Healthcheck: { Test: ['NONE'] } }],
    ['it has no words', {}, { Healthcheck: { Test: ['CMD'] } }],
    ['it has times alone', {}, { Healthcheck: { Interval: 1e9 } }],
    ['it is not wanted', { healthcheck: false }, { Healthcheck: CHECK }],
  ])('is none where %s', (_why, options, config) => {
    expect(life(options, config)).not.toHaveProperty('health');
  });
});

describe('the process of a container', () => {
  test('has what was typed, and leaves the rest to the image', async () => {
    expect(await process({})).toEqual({ callerEnv: context.env, hostname: '', network: 'host', mounts: [] });
    const all = await process(
      {
        entrypoint: '',
        env: ['A=1'],
        workdir: '/w',
        user: '7:8',
        pidsLimit: '100',
        ulimit: ['nofile=1'],
        shmSize: '1m',
        securityOpt: ['no-new-privileges'],
        capAdd: ['net_admin'],
        capDrop: ['ALL'],
        privileged: true,
        groupAdd: ['12', 'audio'],
        readOnly: true,
        interactive: true,
        tty: true,
        init: true,
        addHost: ['a=1.2.3.4'],
        hostname: 'h',
      },
      ['sh', '-c', 'true'],
    );
    expect(all).toMatchObject({
      hostname: 'h',
      command: ['sh', '-c', 'true'],
      entrypoint: '',
      env: ['A=1'],
      workdir: '/w',
      user: '7:8',
      processLimit: 100,
      ulimits: [{ name: 'nofile', soft: 1, hard: 1 }],
      shmSize: 2 ** 20,
      noNewPrivileges: true,
      privileged: true,
      groups: [12, 'audio'],
      readonly: true,
      interactive: true,
      tty: true,
      init: true,
      extraHosts: [{ host: 'a', ip: '1.2.3.4' }],
    });
  });

  test('variables of files come before those of options', async () => {
    fs.writeFileSync(join(dir, 'env'), '# none\nA=file\nOUTSIDE\n');
    const { env } = await process({ envFile: ['env'], env: ['A=option'] });
    expect(env).toEqual(['A=file', 'OUTSIDE=from outside', 'A=option']);
    const { message } = await refusal(() => readEnvFile(context, 'none'));
    expect(message).toContain('Cannot read env file "none"');
  });

  test('name servers are a file; without any of its own it has the machine’s', async () => {
    const { resolvConf } = await process({
      dns: ['192.0.2.1', '2001:db8::1'],
      dnsSearch: ['a.test', 'b.test'],
      dnsOption: ['ndots:2'],
    });
    expect(resolvConf).toBe('nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch a.test b.test\noptions ndots:2\n');
    const { resolvConf: own = '' } = await process({ dnsSearch: ['a.test'] });
    expect(own).toMatch(/^(?:nameserver \S+\n)*search a\.test\n$/);
  });

  test('what grows no privileges says so once, and the last word counts', async () => {
    expect(await process({ securityOpt: ['no-new-privileges:true'] })).toMatchObject({ noNewPrivileges: true });
    expect(await process({ securityOpt: ['no-new-privileges', 'no-new-privileges=false'] })).not.toHaveProperty(
      'noNewPrivileges',
    );
  });

  test('what is to be less confined says so as for docker or podman; of AppArmor and SELinux there is nothing to lift', async () => {
    expect(await process({ securityOpt: ['seccomp=unconfined'] })).toMatchObject({ unfiltered: true });
    // Docker's name of its own filter, which is the default.
    expect(await process({ securityOpt: ['seccomp=builtin'] })).toMatchObject({ unfiltered: false });
    for (const text of ['systempaths=unconfined', 'unmask=ALL'])
      expect(await process({ securityOpt: [text] })).toMatchObject({ unmasked: true });
    const both = await process({ securityOpt: ['seccomp:unconfined', 'no-new-privileges', 'unmask=all'] });
    expect(both).toMatchObject({ noNewPrivileges: true, unfiltered: true, unmasked: true });
    expect(await process({ securityOpt: ['apparmor=unconfined', 'label=disable'] })).toEqual(await process({}));
  });

  test.each<[ProcessOptions, string, string?]>([
    [
      { securityOpt: ['seccomp=/profile.json'] },
      'Cannot use --security-opt "seccomp=/profile.json"',
      'seccomp=unconfined',
    ],
    [{ securityOpt: ['constructor'] }, 'Cannot use --security-opt "constructor"'],
    [{ userns: 'host' }, 'Cannot use --userns "host"', 'keep-id is possible'],
    [{ groupAdd: ['12th'] }, 'Cannot use --group-add "12th": expected the id of a group'],
    [{ groupAdd: ['a:b'] }, 'Cannot use --group-add "a:b": expected the id of a group'],
    [{ dns: ['resolver.test'] }, 'Cannot use --dns "resolver.test": expected an address'],
    [{ dnsSearch: ['a\nnameserver 6.6.6.6'] }, 'Cannot write "a\\nnameserver 6.6.6.6" into /etc/resolv.conf'],
    [{ dnsOption: ['a b'] }, 'Cannot write "a b" into /etc/resolv.conf'],
    [{ capAdd: ['CAP_FLY'] }, 'CAP_FLY'],
    [{ pidsLimit: 'many' }, 'many'],
    [{ shmSize: 'big' }, 'big'],
    [{ addHost: ['a'] }, 'Cannot use --add-host "a"'],
  ])('%j is refused', async (options, message, hint = '') => {
    const refused = await refusal(() => process(options));
    expect(refused.message).toContain(message);
    expect(refused.hint ?? '').toContain(hint);
  });

  test('no option for resolv.conf adds a line to it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), fc.constantFrom('dns', 'dnsSearch', 'dnsOption'), async (text, key) => {
        const made = await process({ [key]: [text] }).catch((error: unknown) => error);
        if (isTsbuildError(made, 'TSB_USAGE')) return;
        const { resolvConf = '' } = made as { readonly resolvConf?: string };
        const lines = resolvConf.split('\n').filter((line) => !line.startsWith('nameserver '));
        expect(lines.length).toBeLessThanOrEqual(2);
      }),
    ); // oxfmt-ignore
  });
});
