import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { isJoinable } from '../../src/network/index.ts';
import { networkArguments } from '../../src/network/network-arguments.ts';
import { proxiedNetwork } from '../../src/network/proxied-network.ts';
import { type StartedNetwork, startNetwork } from '../../src/network/start-network.ts';
import type { NamespacePlan } from '../../src/sandbox/index.ts';

const dir = fs.mkdtempSync(join(tmpdir(), 'tsbuild-network-'));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));
let count = 0;

/** A helper that does what it is told in shell. */
function helper(script: string): string {
  const path = join(dir, `helper-${count++}`);
  fs.writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}
const start = (helperPath: string, args: readonly string[] = []): StartedNetwork =>
  startNetwork({
    helperPath,
    arguments: args,
    path: '/net/1',
    resolvConf: 'nameserver 192.0.2.1\n',
    refusal: (reason) => ({ reason: `not here: ${reason}`, fix: 'think' }),
  });

describe('a network that is being made', () => {
  test('can be joined once its process says so, and is lost with that', async () => {
    const { child, made } = start(helper('echo ready; exec sleep 600'));
    const network = await made;
    if (!isJoinable(network)) throw new Error(network.reason);
    expect(network).toMatchObject({ path: '/net/1', resolvConf: 'nameserver 192.0.2.1\n' });
    expect(network.lost.aborted).toBe(false);
    const lost = once(network.lost, 'abort');
    child.kill('SIGKILL');
    await lost;
    expect((network.lost.reason as Error).message).toBe('signal SIGKILL');
  });

  test('is told what was said last when it comes to nothing', async () => {
    const words = 'echo first >&2; echo "tsbuild-helper: network: cannot open the device" >&2; exit 1';
    expect(await start(helper(words)).made).toEqual({ reason: 'not here: cannot open the device', fix: 'think' });
    expect(await start(helper('exit 3')).made).toEqual({ reason: 'not here: exit code 3', fix: 'think' });
    expect(await start(helper('kill -TERM $$')).made).toEqual({ reason: 'not here: signal SIGTERM', fix: 'think' });
    const missing = await start(join(dir, 'none')).made;
    expect(isJoinable(missing) || missing.reason).toMatch(/^not here: spawn .*none ENOENT$/);
  });

  test('is not waited for because something left behind holds its words open', async () => {
    const { made } = start(helper('sleep 600 & echo $! > "$1"; echo last >&2; exit 1'), [join(dir, 'pid')]);
    expect(await made).toEqual({ reason: 'not here: last', fix: 'think' });
    process.kill(Number(fs.readFileSync(join(dir, 'pid'), 'utf8')));
  });

  test('keeps the last of very many words', async () => {
    const { made } = start(helper('head -c 1000000 /dev/zero | tr "\\0" x >&2; echo >&2; echo end >&2; exit 1'));
    expect(await made).toEqual({ reason: 'not here: end', fix: 'think' });
  });
});

describe('a network with a proxy', () => {
  const plan = { idShift: 0 } as NamespacePlan;
  const proxy = { port: 61_080, socket: '/run/proxy.sock' };

  test('says to the helper where that is, ends when it is disposed, and again without harm', async () => {
    const helperPath = helper('echo "$@" > "$0.args"; echo ready; exec sleep 600');
    const network = await proxiedNetwork({ helperPath, plan, directory: '/nets' }, proxy);
    expect(network.path).toMatch(/^\/nets\/proxied-\d+$/);
    expect(fs.readFileSync(`${helperPath}.args`, 'utf8')).toBe(
      `network --parent ${process.pid} --at ${network.path} --root 0 --proxy 61080:/run/proxy.sock\n`,
    );
    await network[Symbol.asyncDispose]();
    await network[Symbol.asyncDispose]();
    await expect.poll(() => network.lost.aborted).toBe(true);
  });

  test('that there cannot be is an error of the step that wants it', async () => {
    const helperPath = helper('echo "tsbuild-helper: network: unshare: Operation not permitted" >&2; exit 1');
    await expect(proxiedNetwork({ helperPath, plan, directory: '/nets' }, proxy)).rejects.toMatchObject({
      code: 'TSB_SANDBOX',
      message: 'Cannot make a network with a proxy for a step: unshare: Operation not permitted',
      hint: expect.stringContaining('tsbuild doctor') as string,
    });
  });
});

describe('arguments of the helper', () => {
  const usual = { at: '/net/1', parentPid: 7, plan: { idShift: 100_000 } };
  const begin = ['network', '--parent', '7', '--at', '/net/1'];
  // What owns nothing on the machine makes the network, where the device is open to it.
  const root = ['--root', '100000'];
  const pasta = { kind: 'pasta', program: '/bin/pasta', anybody: true } as const;
  const slirp = { kind: 'slirp4netns', program: '/bin/slirp4netns', anybody: false } as const;

  test.each([
    ['no way outside', {}, [...begin, ...root]],
    ['a device that is open to all', { outside: pasta }, [...begin, ...root, '--pasta', '/bin/pasta']],
    ['one that is not', { outside: { ...pasta, anybody: false } }, [...begin, '--pasta', '/bin/pasta']],
    [
      'a resolver',
      { outside: pasta, resolver: '169.254.1.1' },
      [...begin, ...root, '--pasta', '/bin/pasta', '--dns', '169.254.1.1'],
    ],
    // That program has an address for it already.
    ['its own resolver', { outside: slirp, resolver: '10.0.2.3' }, [...begin, '--slirp4netns', '/bin/slirp4netns']],
  ])('%s', (_what, options, wanted) => {
    expect(networkArguments({ ...usual, ...options })).toEqual(wanted);
  });

  test('what is run in it comes last, whatever it looks like', () => {
    expect(networkArguments(usual, ['sh', '--proxy', '--'])).toEqual([...begin, ...root, '--', 'sh', '--proxy', '--']);
  });
});
