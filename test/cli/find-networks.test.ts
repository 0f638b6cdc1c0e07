import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkAddresses, findNetworks } from '../../src/cli/options/find-networks.ts';
import { type ContainerRecord, Containers, type Network, Networks } from '../../src/containers/index.ts';
import type { Session } from '../../src/engine/index.ts';
import { parseSubnet } from '../../src/network/index.ts';
import { Store } from '../../src/store/index.ts';

let root = '';
let store: Store;
beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), 'tsbuild-find-'));
  store = Store.open(root, { now: () => 0 });
});
afterEach(() => {
  store.close();
  fs.rmSync(root, { recursive: true, force: true });
});
type Options = Parameters<typeof findNetworks>[1];
const find = (options: Options) => findNetworks({ store } as unknown as Session, options);
const idOf = (letter: string): string => letter.repeat(64);
const container = (letter: string, more: object = {}): void =>
  void new Containers(store).create(
    {
      format: 1,
      id: idOf(letter),
      created: '2026-01-01T00:00:00.000Z',
      image: { name: 'app:1', id: 'sha256:1', manifest: 'sha256:2' },
      labels: {},
      step: { args: ['true'], network: 'isolated' },
      ...more,
    } as unknown as ContainerRecord,
    `name-${letter}`,
    { layers: [], blobs: [] },
    0,
  );

describe('networks that were asked for', () => {
  test('none, where the network is the machine’s or nobody’s', async () => {
    for (const network of [undefined, ['host'], ['none'], ['private']])
      expect(await find(network === undefined ? {} : { network })).toEqual({});
    expect(new Networks(store).list()).toEqual([]);
  });

  test('by name or id; the default one is made when it is first asked for', async () => {
    const { record } = await new Networks(store).create('ci', {});
    expect(await find({ network: [record.id.slice(0, 12), 'default'], networkAlias: ['web'] })).toEqual({
      networks: [
        { network: 'ci', aliases: ['web'] },
        { network: 'bridge', aliases: ['web'] },
      ],
    });
    await expect(find({ network: ['cii'] })).rejects.toMatchObject({ code: 'TSB_NOT_FOUND', hint: 'did you mean "ci"?' });
  }); // oxfmt-ignore

  test('that of another container, by way of others where that one has none of its own', async () => {
    container('a');
    container('b', { networkOf: idOf('a') });
    expect(await find({ network: ['container:name-a'] })).toEqual({ networkOf: idOf('a') });
    // What the other one uses is looked up when it is started.
    expect(await find({ network: [`container:${idOf('b')}`] })).toEqual({ networkOf: idOf('b') });
    container('c', { step: { args: ['true'], network: 'host' } });
    expect(await find({ network: ['container:name-c'] })).toEqual({ host: true });
  });

  test.each<[string, Options, string]>([
    ['no such container', { network: ['container:nobody'] }, 'TSB_NOT_FOUND'],
    ['a host name of one’s own in it', { network: ['container:name-a'], hostname: 'h' }, 'TSB_USAGE'],
    ['a container whose other has gone', { network: ['container:name-d'] }, 'TSB_NOT_FOUND'],
    ['containers that use one another', { network: ['container:name-e'] }, 'TSB_USAGE'],
  ])('%s is refused', async (_what, options, code) => {
    container('a');
    container('d', { networkOf: idOf('9') });
    container('e', { networkOf: idOf('f') });
    container('f', { networkOf: idOf('e') });
    await expect(find(options)).rejects.toMatchObject({ code });
  });

  test('an address is one of the network’s', async () => {
    const subnets = [{ subnet: parseSubnet('10.7.0.0/24') }, { subnet: parseSubnet('fd07::/64') }];
    await new Networks(store).create('ci', { subnets });
    expect(await find({ network: ['ci'], ip: '10.7.0.9', ip6: 'fd07::9' })).toEqual({
      networks: [{ network: 'ci', aliases: [], ip: '10.7.0.9', ip6: 'fd07::9' }],
    });
    for (const [options, text] of [
      [{ ip: '10.7.1.9' }, '10.7.1.9'],
      [{ ip6: 'fd08::9' }, 'fd08::9'],
    ] as const)
      await expect(find({ network: ['ci'], ...options })).rejects.toMatchObject({
        code: 'TSB_USAGE',
        message: `Cannot use address ${text}: it is none of network ci`,
        hint: 'its addresses are those of 10.7.0.0/24 and fd07::/64',
      });
    const none = { name: 'old', record: { subnets: [] } } as unknown as Network;
    expect(() => checkAddresses(none, { network: 'old', aliases: [], ip: '10.0.0.1' })).toThrow('none of network old');
    expect(() => checkAddresses(none, { network: 'old', aliases: [] })).not.toThrow();
  });
});
