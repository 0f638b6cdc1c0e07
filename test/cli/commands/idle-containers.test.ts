import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCli } from '../../../src/cli/program.ts';
import { type ContainerRecord, Containers } from '../../../src/containers/index.ts';
import { Store } from '../../../src/store/index.ts';
import { formatBytes } from '../../../src/util/index.ts';
import { fakeContext } from '../../fakes/cli-context.ts';
import { commandIn } from '../../fakes/command.ts';
import { TempDir } from '../../tree/support.ts';

// Commands on containers that were made and never started: nothing of this needs a namespace.
const NOW = Date.UTC(2026, 0, 31, 12);
let dir: TempDir;
const { run, ok } = commandIn(() => dir.path, { now: () => NOW });
const idOf = (name: string): string => Buffer.from(name).toString('hex').padEnd(64, '0');

beforeEach(() => {
  dir = new TempDir();
  using store = Store.open(join(dir.path, 'store'), { now: () => NOW });
  const containers = new Containers(store);
  for (const [name, hours, labels, scope] of [
    ['web', 1, { tier: 'front' }, 'job-7'],
    ['db', 48, { tier: 'back' }, 'job-7'],
    ['old', 500, {}, undefined],
  ] as const) {
    const record = {
      format: 1,
      id: idOf(name),
      created: new Date(NOW - hours * 3_600_000).toISOString(),
      image: { name: 'app:1', id: 'sha256:1', manifest: 'sha256:2' },
      imageConfig: { os: 'linux', config: {} },
      restart: { name: 'no', most: 0 },
      labels,
      stopSignal: 'SIGTERM',
      stopTimeout: 10,
      ...(scope === undefined ? {} : { scope }),
      step: { args: ['true'], network: 'host', env: [], mounts: [], cwd: '/', user: '', hostname: 'h' },
    } as unknown as ContainerRecord;
    containers.create(record, name, { layers: [], blobs: [] }, 0);
  }
});
afterEach(() => dir[Symbol.dispose]());

const left = async (): Promise<readonly string[]> =>
  (await ok('ps', '-a', '--format', '{{.Names}}')).split('\n').filter(Boolean);

/** A command of somebody at a terminal, who types this. */
async function answering(typed: string, ...words: readonly string[]) {
  const env = { TSBUILD_ROOT: join(dir.path, 'store'), HOME: dir.path };
  const context = fakeContext({ cwd: dir.path, uid: process.getuid?.() ?? 0, env, now: () => NOW, stdin: [typed] });
  Object.assign(context.stdin, { isTTY: true });
  return { code: await runCli(words, context), out: context.out(), err: context.err() };
}

describe('container prune', () => {
  test.each(['y\n', 'Y\n', 'yes\n', ' YES \n'])('asks, and %j is yes', async (typed) => {
    const { code, out, err } = await answering(typed, 'container', 'prune');
    expect(code, err).toBe(0);
    expect(err).toContain('Remove 3 containers that do not run? [y/N] ');
    expect(out.split('\n').filter(Boolean).toSorted()).toEqual(['web', 'db', 'old'].map(idOf).toSorted());
    expect(await left()).toEqual([]);
  });

  test.each(['\n', 'n\n', 'no\n', 'yess\n', 'y y\n'])('%j is no', async (typed) => {
    expect(await answering(typed, 'container', 'prune')).toMatchObject({ code: 0, out: '' });
    expect(await left()).toHaveLength(3);
  });

  test('without an answer removes nothing', async () => {
    expect((await answering('', 'container', 'prune')).code).not.toBe(0);
    expect((await answering('\u0003', 'container', 'prune')).code).not.toBe(0);
    const { code, out, err } = await run('container', 'prune');
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/^error: This removes all containers that do not run, and there is nobody to ask\nhint: add --force/);
    expect(await left()).toHaveLength(3);
  }); // oxfmt-ignore

  test.each<[readonly string[], readonly string[]]>([
    [['until=24h'], ['web']],
    [
      ['until=24h', 'until=400h'],
      ['web', 'db'],
    ],
    [['label=tier'], ['old']],
    [['label!=tier'], ['web', 'db']],
    [
      ['until=2026-01-30T00:00:00Z', 'label=tier=back'],
      ['web', 'old'],
    ],
    [['label=none'], ['web', 'db', 'old']],
  ])('--filter %j leaves %j', async (filters, names) => {
    await ok('container', 'prune', '-f', ...filters.flatMap((filter) => ['--filter', filter]));
    expect(await left()).toEqual(names);
  });

  test.each([
    ['until=bad', 'Cannot use --filter until "bad"\nhint: for example 2026-01-31'],
    ['until', 'Cannot use --filter "until": expected NAME=VALUE'],
    ['lable=x', 'did you mean "label"?'],
  ])('--filter %s is refused, and nothing is removed', async (filter, why) => {
    const { code, out, err } = await run('container', 'prune', '-f', '--filter', filter);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(why);
    expect(await left()).toHaveLength(3);
  });
});

describe('rm, stop and wait of several', () => {
  test('go on where one is not there, print names as they were typed, and end with 1', async () => {
    const { code, out, err } = await run('rm', 'web', 'none', idOf('db').slice(0, 8));
    expect([code, out]).toEqual([1, `web\n${idOf('db').slice(0, 8)}\n`]);
    expect(err).toBe('error: No such container: none\nhint: "tsbuild ps -a" lists them\n');
    expect(await left()).toEqual(['old']);
  });

  test('with --force do not mind what is not there', async () => {
    expect(await run('rm', '-f', 'none', 'web', 'none2')).toEqual({ code: 0, out: 'web\n', err: '' });
    expect(await run('rm', '-f', '')).toEqual({ code: 0, out: '', err: '' });
    expect(await left()).toEqual(['db', 'old']);
    expect(existsSync(join(dir.path, 'store/containers', idOf('web')))).toBe(false);
  });

  test('have nothing to do for what does not run', async () => {
    expect(await run('stop', 'web', 'db')).toEqual({ code: 0, out: 'web\ndb\n', err: '' });
    expect(await run('wait', 'web', 'db')).toEqual({ code: 0, out: '0\n0\n', err: '' });
    for (const [command, why] of [
      ['kill', 'Cannot kill container web: it is not running'],
      ['pause', 'Cannot pause container web: it is not running'],
      ['unpause', 'Cannot unpause container web: it is not running'],
    ] as const) {
      const { code, out, err } = await run(command, 'web');
      expect([code, out]).toEqual([1, '']);
      expect(err).toContain(`error: ${why}\n`);
    }
  });

  test.each([
    [['stop', '-t', 'soon', 'web'], 'Cannot use --time "soon": expected a number of seconds'],
    [['stop', '-t', '1.5', 'web'], 'Cannot use --time "1.5": expected a number of seconds'],
    [['stop', '-s', 'SIGNONE', 'web'], 'SIGNONE'],
    [['kill', '-s', '65', 'web'], '65'],
    [['kill', '--signal=', 'web'], 'Invalid signal: \nhint: for example SIGTERM, HUP or 9'],
  ])('%j is refused', async (words, why) => {
    const { code, out, err } = await run(...words);
    expect(code).toBeGreaterThan(0);
    expect(out).toBe('');
    expect(err).toContain(why);
  });
});

describe('what only a container that runs has', () => {
  test.each([
    [['top', 'web'], 'Container web is not running'],
    [['exec', 'web', 'true'], 'Container web is not running\nhint: start it: tsbuild start web'],
    [['attach', 'web'], 'Cannot attach to container web: it is not running\nhint: start it: tsbuild start -a web'],
    [['port', 'web', '80'], 'Cannot tell where 80/tcp of web is: it is not published'],
    [['port', 'web', '53/udp'], 'Cannot tell where 53/udp of web is: it is not published'],
    [['top', 'web', 'aux'], 'Container web is not running'],
    [['start', '-a', 'web', 'db'], 'Cannot attach to several containers'],
  ])('%j', async (words, why) => {
    const { code, out, err } = await run(...words);
    expect(code).toBeGreaterThan(0);
    expect(out).toBe('');
    expect(err).toContain(why);
  });

  test('has no ports and uses nothing', async () => {
    expect(await ok('port', 'web')).toBe('');
    expect(await ok('stats', '--no-stream', '--format', '{{.Container}} {{.Name}} {{.PIDs}} {{.CPUPerc}}', 'web')).toBe(
      `${idOf('web').slice(0, 12)} web 0 0.00%\n`,
    );
    expect(await ok('stats', '--no-stream', '--no-trunc', '--format', '{{.Container}} {{.ID}}', 'web')).toBe(
      `${idOf('web')} ${idOf('web')}\n`,
    );
    // Only what runs, unless all is asked for.
    expect(await ok('stats', '--no-stream', '--format', '{{.Name}}')).toBe('');
    expect((await ok('stats', '--no-stream', '--all', '--format', '{{.Name}}')).split('\n')).toHaveLength(4);
    expect((await run('stats', '--no-stream', 'none')).code).toBe(1);
  });

  // Docker: "MEM USAGE / LIMIT: the total memory the container is using, and the total amount of memory it is allowed to use".
  test('may use as much memory as it was given, and no more than there is', async () => {
    const { MemTotal } = Object.fromEntries(
      [...readFileSync('/proc/meminfo', 'utf8').matchAll(/^(\w+): +(\d+) kB$/gm)].map(([, name, kilobytes]) => [
        name,
        kilobytes,
      ]),
    ) as Record<string, string>;
    const limit = async (name: string): Promise<string | undefined> =>
      (await ok('stats', '--no-stream', '--format', '{{.MemUsage}}', name)).trimEnd().split(' / ')[1];
    const all = formatBytes(Number(MemTotal) * 1024);
    expect(await limit('db')).toBe(all);
    await ok('update', '--memory', '64m', 'web');
    expect(await limit('web')).toBe(formatBytes(64 * 2 ** 20));
    await ok('update', '--memory', '4096g', '--memory-swap', '-1', 'web');
    expect(await limit('web')).toBe(all);
  });
});

describe('rename', () => {
  test('gives another name, by which it is found', async () => {
    expect(await ok('rename', 'web', 'front')).toBe('');
    expect(await left()).toEqual(['front', 'db', 'old']);
    expect((await run('rename', 'web', 'x1')).code).toBe(1);
  });

  test.each([
    ['web', 'that is its name'],
    ['db', 'db'],
    ['', 'Cannot name a container ""'],
    ['a', 'Cannot name a container "a"'],
    ['-x', 'unknown option'],
    ['a/b', 'Cannot name a container "a/b"'],
    ['../x', 'Cannot name a container "../x"'],
    ['x'.repeat(200), 'Cannot name a container'],
  ])('to %j is refused', async (to, why) => {
    const { code, out, err } = await run('rename', 'web', to);
    expect(code).toBeGreaterThan(0);
    expect(out).toBe('');
    expect(err).toContain(why);
    expect(await left()).toEqual(['web', 'db', 'old']);
  });
});

describe('down', () => {
  test('removes what a scope has, and nothing else', async () => {
    const { code, out } = await run('down', '--scope', 'job-7');
    expect(code).toBe(0);
    expect(out.split('\n').filter(Boolean).toSorted()).toEqual(['db', 'web']);
    expect(await left()).toEqual(['old']);
    expect(await run('down', '--scope', 'job-7')).toEqual({ code: 0, out: '', err: '' });
  });

  test.each([[[]], [['--scope', '']]])('%j has no scope, and removes nothing', async (words) => {
    const { code, err } = await run('down', ...words);
    expect(code).toBe(2);
    expect(err).toContain('there is no scope\nhint: name the one that they were made with: --scope ID, or TSBUILD_SCOPE');
    expect(await left()).toHaveLength(3);
  }); // oxfmt-ignore
});
