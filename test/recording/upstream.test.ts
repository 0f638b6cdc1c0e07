import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { addressKind, plainAddress } from '../../src/registry/index.ts';
import { Upstream } from '../../src/recording/upstream.ts';
import { testTask } from '../support/task.ts';
import { WebServer } from '../support/web-server.ts';

let web: WebServer;
beforeEach(async () => {
  web = await WebServer.start((_request, response) => response.end('reached'));
});
afterEach(() => web[Symbol.asyncDispose]());

/** Asks the server on this machine by a URL's host, or by a name that has an address. @returns its answer, or the message of the failure */
async function ask(host: string, ip?: string, allowOwn = false): Promise<string> {
  const hosts = ip === undefined ? [] : [{ host, ip }];
  await using upstream = new Upstream({ now: Date.now, limits: { attempts: 1 }, allowOwn, hosts });
  const url = new URL(`http://${host}:${web.port}/`);
  try {
    const answer = await upstream.send(testTask(), { method: 'GET', url, headers: {} });
    return (await answer.small(1000)).toString();
  } catch (error) {
    return (error as Error).message;
  }
}

const OUT_OF_REACH = /is this machine itself or a metadata service, which steps do not reach$/;

describe('a step in a recorded network does not reach', () => {
  const literals: readonly string[] = [
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f.1',
    '0.0.0.0',
    'localhost',
    'a.localhost',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[0:0:0:0:0:ffff:127.0.0.1]',
    '[::127.0.0.1]',
    '169.254.169.254',
    '[::ffff:169.254.169.254]',
    '[fe80::1]',
    '[fd00:ec2::254]',
    '100.100.100.200',
    '224.0.0.1',
  ];
  test.each(literals)('%s', async (host) => {
    expect(await ask(host)).toMatch(OUT_OF_REACH);
    expect(web.seen).toEqual([]);
  });

  const named: readonly string[] = [
    '127.0.0.1',
    '127.9.9.9',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:169.254.169.254',
    '::ffff:0.0.0.0',
    '169.254.169.254',
    'fe80::1',
  ];
  test.each(named)('what a name leads to at %s', async (ip) => {
    expect(await ask('evil.test', ip)).toMatch(OUT_OF_REACH);
    expect(web.seen).toEqual([]);
  });

  test("the addresses of this machine's interfaces, however they are spelled", async () => {
    const all = Object.values(networkInterfaces()).flatMap((of) => of?.map(({ address }) => address) ?? []);
    expect(all).not.toEqual([]);
    for (const address of all) {
      const spellings = isIP(address) === 6 ? [address] : [address, `::ffff:${address}`];
      for (const spelled of spellings) {
        const host = isIP(spelled) === 6 ? `[${spelled.replace(/%.*$/, '')}]` : spelled;
        expect([host, await ask(host)]).toEqual([host, expect.stringMatching(OUT_OF_REACH)]);
        expect([spelled, await ask('own.test', spelled)]).toEqual([spelled, expect.stringMatching(OUT_OF_REACH)]);
      }
    }
    expect(web.seen).toEqual([]);
  });
});

test('with --allow network.host all of them are reached', async () => {
  expect(await ask('127.0.0.1', undefined, true)).toBe('reached');
  expect(await ask('there.test', '127.0.0.1', true)).toBe('reached');
  expect(await ask('THERE.test', '127.0.0.1', true)).toBe('reached');
});

describe('the kind of an address', () => {
  const kinds: readonly (readonly [string, string])[] = [
    ['93.184.216.34', 'public'],
    ['::ffff:93.184.216.34', 'public'],
    ['2606:2800:220:1::1', 'public'],
    ['10.1.2.3', 'private'],
    ['::ffff:10.1.2.3', 'private'],
    ['::FFFF:A01:203', 'private'],
    ['100.64.0.1', 'private'],
    ['100.128.0.1', 'public'],
    ['172.15.0.1', 'public'],
    ['172.16.0.1', 'private'],
    ['172.32.0.1', 'public'],
    ['fd12::1', 'private'],
    ['0:0:0:0:0:0:0:1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:169.254.1.1', 'forbidden'],
    ['fe80::1%eth0', 'forbidden'],
    ['ff02::1', 'forbidden'],
    ['FD00:EC2::254', 'forbidden'],
    ['fd00:ec2:0:0:0:0:0:254', 'forbidden'],
    ['localhost', 'loopback'],
    ['localhost.', 'loopback'],
    ['LOCALHOST', 'loopback'],
    ['a.b.localhost.', 'loopback'],
    ['notlocalhost', 'name'],
    ['localhost.test', 'name'],
    ['localhost..', 'name'],
  ];
  test.each(kinds)('of %s is %s', (address, kind) => {
    expect(addressKind(address)).toBe(kind);
    if (address.includes(':') && !address.includes('%')) expect(addressKind(`[${address}]`)).toBe(kind);
  });

  test('is that of the one spelling it is compared in', () => {
    expect(
      ['1.2.3.4', '::ffff:1.2.3.4', '::FFFF:102:304', '2001:DB8:0:0::1', 'fe80::1%eth0', 'a.test'].map(plainAddress),
    ).toEqual(['1.2.3.4', '1.2.3.4', '1.2.3.4', '2001:db8::1', 'fe80::1%eth0', 'a.test']);
  });
});
