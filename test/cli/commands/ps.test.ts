import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { join } from 'node:path';
import { type ContainerRecord, Containers } from '../../../src/containers/index.ts';
import { Store } from '../../../src/store/index.ts';
import { commandIn } from '../../fakes/command.ts';
import { TempDir } from '../../tree/support.ts';

const NOW = Date.UTC(2026, 0, 31, 12);
let dir: TempDir;
beforeAll(() => {
  dir = new TempDir();
  using store = Store.open(join(dir.path, 'store'), { now: () => NOW });
  const containers = new Containers(store);
  for (const [name, minutes, image, id] of [
    ['first', 130, 'db', 'db00ff'],
    ['second', 60, 'app:1', 'cafe01'],
    ['third', 1, 'reg.test:5000/team/app', 'db11ff'],
  ] as const) {
    const record = {
      format: 1,
      id: Buffer.from(name).toString('hex').padEnd(64, '0'),
      created: new Date(NOW - minutes * 60_000).toISOString(),
      image: { name: image, id: `sha256:${id.padEnd(64, '0')}`, manifest: 'sha256:2' },
      imageConfig: { os: 'linux', config: {} },
      restart: { name: 'no', most: 0 },
      labels: {},
      step: { args: ['true'], network: 'host', env: [], mounts: [] },
    } as unknown as ContainerRecord;
    containers.create(record, name, { layers: [], blobs: [] }, 0);
  }
});
afterAll(() => dir[Symbol.dispose]());
const { run, ok } = commandIn(() => dir.path, { now: () => NOW }, ['ps', '--format', '{{.Names}}']);
const names = async (...words: readonly string[]): Promise<readonly string[]> =>
  (await ok(...words)).split('\n').filter(Boolean);

describe('--last', () => {
  test.each([
    [['-n', '1'], ['third']],
    [['--last=2'], ['third', 'second']],
    [
      ['-n', '99'],
      ['third', 'second', 'first'],
    ],
    [['-l'], ['third']],
    // Docker's default is -1, and none of these is a number of containers: they say nothing.
    [
      ['-a', '-n', '-1'],
      ['third', 'second', 'first'],
    ],
    [
      ['-a', '--last=-1'],
      ['third', 'second', 'first'],
    ],
    [
      ['-a', '-n', '0'],
      ['third', 'second', 'first'],
    ],
    [['-n', '-1'], []],
    // Those that are wanted are counted.
    [['-n', '1', '-f', 'name=second'], ['second']],
  ])('%j are %j', async (words, wanted) => {
    expect(await names(...words)).toEqual(wanted);
  });

  test.each(['', ' ', 'two', '1.5', '1e3', '0x2', '+1', '--1'])('%j is no number', async (text) => {
    const { code, out, err } = await run(`--last=${text}`);
    expect([code, out]).toEqual([2, '']);
    expect(err).toBe(`error: Cannot use --last ${JSON.stringify(text)}: expected a number\n`);
  });
});

test('ages are in the words of docker', async () => {
  expect(await ok('-a', '--format', '{{.Names}}: {{.RunningFor}}')).toBe(
    'third: About a minute ago\nsecond: About an hour ago\nfirst: 2 hours ago\n',
  );
});

describe('-f ancestor=', () => {
  test.each([
    // A name, and not the first digits of an id that begins so.
    ['db', ['first']],
    ['db:latest', ['first']],
    ['app:1', ['second']],
    ['app', []],
    ['reg.test:5000/team/app', ['third']],
    ['reg.test:5000/team/app:latest', ['third']],
    ['db00', ['first']],
    ['sha256:db', ['third', 'first']],
    ['cafe01', ['second']],
    [`sha256:${'cafe01'.padEnd(64, '0')}`, ['second']],
    ['sha256:', []],
    ['', []],
  ])('%j finds %j', async (image, wanted) => {
    expect(await names('-a', '-f', `ancestor=${image}`)).toEqual(wanted);
  });
});
