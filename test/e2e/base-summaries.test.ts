import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateKeyPairSync } from 'node:crypto';
import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Bench, type Outcome } from '../support/bench.ts';
import { identities } from '../support/identity.ts';
import { stepsOf } from '../support/steps.ts';
import { useWatchedRegistry } from '../support/watched-registry.ts';

const NOT_NEEDED = /base not needed: what is in its \d+ layers? is known from a summary/;

const [, who = (await identities())[0]!] = await identities();

describe('a copy onto a base image that only a registry has', () => {
  const registries = useWatchedRegistry();
  const held: { bench?: Bench } = {};
  let count = 0;
  /** Digests of the layers of the base image. */
  let layers: readonly string[] = [];

  const bench = (): Bench => {
    if (held.bench === undefined) throw new Error('There is no bench');
    return held.bench;
  };
  const name = (path: string): string => `${registries.watched.host}/${path}`;
  const cache = (path: string): string => `type=registry,ref=${name(path)}:cache`;
  const newStore = (): string => bench().path(`store-${count++}`);
  const build = (context: string, store: string, ...args: readonly string[]): Promise<Outcome> =>
    bench().ok(['build', '--progress=plain', '--build-arg=SOURCE_DATE_EPOCH=1700000000', ...args, context], { store });
  const digestOf = ({ err }: Outcome): string | undefined => /:\w+@(sha256:\w+)/.exec(err)?.[1];
  /** What was read of the layers of the base image. */
  const ofBase = (): readonly string[] =>
    registries.watched.requests
      .filter(({ method, url }) => method === 'GET' && layers.some((digest) => url.includes(digest)))
      .map(({ url }) => url);

  beforeAll(async () => {
    held.bench = new Bench(who);
    await bench().importBase('base:1');
    const context = bench().context('FROM base:1\nCOPY . /app/\n', {
      'src/old': 'old',
      'deps.txt': 'old',
      link: { link: 'src' },
    });
    await bench().ok(['build', '--push', '-t', name('base:1'), context]);
    const manifest = JSON.parse(
      await bench().tool([
        'skopeo',
        'inspect',
        '--raw',
        '--tls-verify=false',
        `docker://${registries.registry.host}/base:1`,
      ]),
    ) as { readonly layers: readonly { readonly digest: string }[] };
    layers = manifest.layers.map(({ digest }) => digest);
  });
  afterAll(async () => held.bench?.[Symbol.asyncDispose]());

  const dockerfile = (): string => `FROM ${name('base:1')}
WORKDIR /app
COPY deps.txt ./
COPY src ./link/
COPY --chmod=755 src/main src/run ./src/
`;
  const files = { 'deps.txt': 'left-pad', 'src/main': 'main', 'src/run': 'run' };

  test('moves no byte of that, and has the image that it has with the base', async () => {
    const context = bench().context(dockerfile(), files);
    const one = newStore();
    const first = await build(context, one, `--cache-to=${cache('app')},mode=max`, '--push', '-t', name('app:a'));
    expect(first.err).toContain('exporting trees of base images');
    writeFileSync(join(context, 'src/main'), 'changed');

    registries.watched.requests.length = 0;
    const two = newStore();
    const second = await build(context, two, `--cache-from=${cache('app')}`, '--push', '-t', name('app:b'));
    expect(ofBase()).toEqual([]);
    expect(stepsOf(second)).toEqual({
      ran: ['COPY --chmod=755 src/main src/run ./src/', 'COPY src ./link/'],
      cached: ['COPY deps.txt ./', 'WORKDIR /app'],
    });
    expect(second.err).toMatch(NOT_NEEDED);
    expect(second.err).toMatch(/neither fetched nor sent: \d+ layers of base images/);

    const withBase = await build(context, one, '--push', '-t', name('app:c'));
    expect(withBase.err).not.toMatch(NOT_NEEDED);
    expect(stepsOf(withBase)).toEqual(stepsOf(second));
    expect([digestOf(second), digestOf(second)]).toEqual([digestOf(withBase), expect.stringMatching(/^sha256:/)]);

    // Who does not name the cache takes no summary of it, though a build on this store did.
    writeFileSync(join(context, 'src/main'), 'changed again');
    const unnamed = await build(context, two, '--push', '-t', name('app:d'));
    expect(unnamed.err).not.toMatch(NOT_NEEDED);
    expect(ofBase()).not.toEqual([]);
  });

  test('from another stage, to a directory as a cache, moves none either', async () => {
    const place = `type=local,dest=${bench().path('cache-directory')}`;
    const copies = `COPY --from=made /out ./\nCOPY --from=made /out/new ./src/\n`;
    const context = bench().context(
      `FROM base:1 AS made\nCOPY in /out/new\nRUN cat /out/new > /out/more\nFROM ${name('base:1')}\nWORKDIR /app\n${copies}`,
      { in: 'one' },
    );
    const store = newStore();
    await bench().importBase('base:1', { store });
    await build(context, store, `--cache-to=${place},mode=max`, '--push', '-t', name('staged:a'));
    writeFileSync(join(context, 'in'), 'two');
    const other = newStore();
    await bench().importBase('base:1', { store: other });
    registries.watched.requests.length = 0;
    const second = await build(
      context,
      other,
      `--cache-from=${place.replace('dest', 'src')}`,
      '--push',
      '-t',
      name('staged:b'),
    );
    expect(ofBase()).toEqual([]);
    expect(second.err.match(new RegExp(NOT_NEEDED, 'g'))).toHaveLength(2);
    const run = await bench().ok(['run', '--network=none', name('staged:b'), 'cat', '/app/src/new', '/app/more'], {
      store: newStore(),
    });
    expect(run.out).toBe('twotwo');
  });

  test.each([
    ['reads who an owner is', 'COPY --chown=nobody deps.txt ./\n'],
    ['runs something', 'COPY deps.txt ./\nRUN true\n'],
    ['copies files of it', 'COPY --from=BASE /app/deps.txt /\n'],
  ])('that also %s fetches it, as ever', async (_, steps) => {
    const text = `FROM ${name('base:1')}\nWORKDIR /app\n${steps.replace('BASE', name('base:1'))}`;
    const context = bench().context(text, { 'deps.txt': 'left-pad' });
    registries.watched.requests.length = 0;
    const { err } = await build(context, newStore(), `--cache-from=${cache('app')}`, '--push', '-t', name('ever:1'));
    expect(ofBase().length).toBeGreaterThan(0);
    expect(err).not.toContain('Cannot');
  });

  test('fetches it where its content decides, and is told so by the files only', async () => {
    // A file of the same size, time, mode and owner may be the same, and is left out of the layer then.
    const context = bench().context(`FROM ${name('base:1')}\nCOPY deps.txt /app/deps.txt\n`, { 'deps.txt': 'old' });
    const pull = newStore();
    await bench().ok(['pull', name('base:1')], { store: pull });
    const shown = await bench().ok(['run', '--network=none', name('base:1'), 'stat', '-c', '%Y', '/app/deps.txt'], {
      store: pull,
    });
    utimesSync(join(context, 'deps.txt'), Number(shown.out), Number(shown.out));
    registries.watched.requests.length = 0;
    const args = [`--cache-from=${cache('app')}`, '--push'];
    const { err } = await build(context, newStore(), ...args, '-t', name('same:1'));
    expect(err).not.toMatch(NOT_NEEDED);
    expect(ofBase().length).toBeGreaterThan(0);
  });

  test('whose summary nobody trusted has signed fetches it with a warning, and mends the cache', async () => {
    for (const who of ['mine', 'theirs']) {
      const { privateKey, publicKey } = generateKeyPairSync('ed25519');
      bench().write('.', {
        [`${who}.key`]: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
        [`${who}.pub`]: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
      });
    }
    const context = bench().context(dockerfile(), files);
    const to = (key: string): string => `--cache-to=${cache('signed')},mode=max,key=${bench().path(`${key}.key`)}`;
    const from = `--cache-from=${cache('signed')},verify-key=${bench().path('mine.pub')}`;
    await build(context, newStore(), to('theirs'), '-o', 'type=cacheonly');
    const mended = await build(context, newStore(), from, to('mine'), '--push', '-t', name('signed:1'));
    expect(mended.err).toMatch(/none of the trusted keys has signed it\. The base image is fetched/);
    expect(mended.err).not.toMatch(NOT_NEEDED);
    writeFileSync(join(context, 'src/main'), 'changed');
    registries.watched.requests.length = 0;
    const last = await build(context, newStore(), from, '--push', '-t', name('signed:2'));
    expect(last.err).toMatch(NOT_NEEDED);
    expect(ofBase()).toEqual([]);
  });

  test('needs no cache where the store knew the image once', async () => {
    const context = bench().context(dockerfile(), files);
    const store = newStore();
    // A build that writes no cache does not wait until the summary is made.
    await build(context, store, `--cache-to=${cache('pruned')}`, '--push', '-t', name('pruned:1'));
    await bench().ok(['prune', '--all', '--images', '--keep-storage', '0'], { store });
    writeFileSync(join(context, 'src/main'), 'changed');
    registries.watched.requests.length = 0;
    const { err } = await build(context, store, '--push', '-t', name('pruned:2'));
    expect(err).toMatch(NOT_NEEDED);
    expect(ofBase()).toEqual([]);
  });
});
