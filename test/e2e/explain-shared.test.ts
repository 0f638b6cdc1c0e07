import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { useWatchedRegistry } from '../support/watched-registry.ts';

const DOCKERFILE = `FROM base:1
ARG VERSION=1
ARG DEPLOY_TOKEN=none
COPY . /app
RUN cat /app/src/a.ts > /out
`;

describeAsUser('why a step misses on a machine that has built nothing', (who) => {
  const use = useBench(who, { base: false });
  const registries = useWatchedRegistry();
  let count = 0;

  /** The store of a new machine, with the base image. */
  async function newStore(): Promise<string> {
    const store = use.bench.path(`store-${count++}`);
    await use.bench.makeStore(store);
    return store;
  }

  test.each(['registry', 'local'])('is told by the cache: type=%s', async (type) => {
    const { bench } = use;
    const place = type === 'registry' ? `type=registry,ref=${registries.watched.host}/x/explain-${who.name}:c` : '';
    const directory = bench.path(`cache-${who.name}`);
    const to = place || `type=local,dest=${directory}`;
    const from = place || `type=local,src=${directory}`;
    const context = bench.context(DOCKERFILE, { 'src/a.ts': 'one', 'src/b.ts': 'two' });
    const run = async (args: readonly string[]): Promise<string> =>
      (await bench.ok(['build', '--explain', '--progress=plain', ...args, context], { store: await newStore() })).err;

    await run([`--cache-to=${to},mode=max`, '--build-arg', 'DEPLOY_TOKEN=quietSecret1']);
    expect(await run([`--cache-from=${from}`, '--build-arg', 'DEPLOY_TOKEN=quietSecret1'])).toMatch(
      /^all \d steps came from the cache/m,
    );

    writeFileSync(join(context, 'src/a.ts'), 'other');
    const changed = await run([`--cache-from=${from}`, '--build-arg', 'DEPLOY_TOKEN=quietSecret1']);
    expect(changed).toMatch(/^\d of \d steps came from the cache; compared with the build of cache .+$/m);
    expect(changed).toContain('COPY . /app missed: src/a.ts changed (sha256 7692… -> d929…)');
    expect(changed).toMatch(/^ {6}not in the cache .+, asked for [0-9a-f]{16}$/m);

    writeFileSync(join(context, 'src/a.ts'), 'one');
    const version = await run([
      `--cache-from=${from}`,
      '--build-arg=DEPLOY_TOKEN=quietSecret1',
      '--build-arg=VERSION=2',
    ]);
    expect(version).toContain('RUN cat /app/src/a.ts > /out missed: ARG or ENV VERSION changed (1 -> 2)');

    // Whether a secret has changed is nothing that a cache may tell.
    const secret = await run([`--cache-from=${from}`, '--build-arg', 'DEPLOY_TOKEN=quietSecret2']);
    expect(secret).toContain('missed: what has changed is not among what the cache tells of it');
    expect(changed + version + secret).not.toContain('quietSecret');
  });
});
