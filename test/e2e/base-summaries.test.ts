import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { writeFileSync } from 'node:fs';
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

  const DOCKERFILE = `FROM ${'BASE'}
WORKDIR /app
COPY deps.txt ./
COPY src ./link/
COPY --chmod=755 src/main src/run ./src/
`;

  test('moves no byte of that, and has the image that it has with the base', async () => {
    const context = bench().context(DOCKERFILE.replace('BASE', name('base:1')), {
      'deps.txt': 'left-pad',
      'src/main': 'main',
      'src/run': 'run',
    });
    const one = newStore();
    const first = await build(context, one, `--cache-to=${cache('app')},mode=max`, '--push', '-t', name('app:a'));
    expect(first.err).toContain('exporting trees of base images');
    writeFileSync(join(context, 'src/main'), 'changed');

    registries.watched.requests.length = 0;
    const second = await build(context, newStore(), `--cache-from=${cache('app')}`, '--push', '-t', name('app:b'));
    expect(ofBase()).toEqual([]);
    expect(stepsOf(second)).toEqual({
      ran: ['COPY --chmod=755 src/main src/run ./src/', 'COPY src ./link/'],
      cached: ['COPY deps.txt ./', 'WORKDIR /app'],
    });
    expect(second.err).toMatch(NOT_NEEDED);
    expect(second.err).toMatch(/neither fetched nor sent: \d+ layers of base images/);

    const withBase = await build(context, one, '--push', '-t', name('app:c'));
    expect(stepsOf(withBase)).toEqual(stepsOf(second));
    expect([digestOf(second), digestOf(second)]).toEqual([digestOf(withBase), expect.stringMatching(/^sha256:/)]);
  }, 60_000);
});
