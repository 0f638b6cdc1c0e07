import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Outcome } from '../support/bench.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { isRecalled } from '../support/recalled.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { expectFailure } from '../support/sound.ts';

describeAsUser('short names with an alias in registries.conf', (who) => {
  const use = useBench(who);
  let registry: TestRegistry;
  let host = '';
  beforeAll(async () => {
    registry = await startRegistry();
    ({ host } = registry);
    const { bench } = use;
    for (const name of ['one', 'two']) {
      await bench.ok([
        'build',
        '-q',
        '-t',
        `${host}/team/${name}:1`,
        bench.context(`FROM base:1\nRUN echo ${name} > /who\n`),
      ]);
      await bench.ok(['push', '-q', `${host}/team/${name}:1`]);
      await bench.ok(['rmi', `${host}/team/${name}:1`]);
    }
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  const conf = (): string => use.bench.path('registries.conf');
  const alias = (name: string): void => writeFileSync(conf(), `[aliases]\nshorty = "${host}/team/${name}"\n`);
  const run = (args: readonly string[]): Promise<Outcome> =>
    use.bench.tsbuild(args, { env: { CONTAINERS_REGISTRIES_CONF: conf() } });

  test('mean what that says: in FROM and --from, for run and pull', async () => {
    const { bench } = use;
    alias('one');
    const context = bench.context('FROM shorty:1\nCOPY --from=shorty:1 /who /copied\nCMD ["cat", "/who", "/copied"]\n');
    const built = await run(['build', '--progress=plain', '-t', 'made', context]);
    expect(built.code, built.err).toBe(0);
    expect(built.err).toMatch(new RegExp(`FROM ${host}/team/one:1@sha256:`));
    expect((await bench.ok(['run', 'made'])).out).toBe('one\none\n');
    expect((await run(['run', 'shorty:1', 'cat', '/who'])).out).toBe('one\n');
    expect((await run(['pull', 'shorty:1'])).out).toContain(`${host}/team/one:1`);
    // Whoever names a registry means that.
    expectFailure(await run(['build', bench.context(`FROM ${host}/shorty:1\n`)]), { says: [`${host}/shorty:1`] });
    expectFailure(await run(['pull', 'shorty:2']), { says: [`${host}/team/one:2`] });
  });

  test('mean another image when it says so, also in a build that is remembered', async () => {
    const { bench } = use;
    alias('one');
    const context = bench.context('FROM shorty:1\nRUN cp /who /seen\n');
    const build = async (): Promise<void> => {
      const { code, err } = await run(['build', '-q', '--locked', '-t', 'seen', context]);
      expect(code, err).toBe(0);
    };
    expect((await run(['build', '-q', '--update-lock', '-t', 'seen', context])).code).toBe(0);
    await build();
    await build();
    expect(await isRecalled(bench, build)).toBe(true);
    alias('two');
    expectFailure(await run(['build', '-q', '--locked', '-t', 'seen', context]), { says: ['team/two:1'] });
    expect((await run(['build', '-q', '--update-lock', '-t', 'seen', context])).code).toBe(0);
    expect((await bench.ok(['run', 'seen', 'cat', '/seen'])).out).toBe('two\n');
  });

  test('mean the image of the store where that has one, and the Docker Hub where the alias is empty', async () => {
    const { bench } = use;
    alias('one');
    await bench.ok(['tag', 'base:1', 'shorty:own']);
    const context = bench.context('FROM shorty:own\nRUN ! test -e /who\n');
    expect((await run(['build', '-q', context])).code).toBe(0);
    writeFileSync(conf(), '[aliases]\nshorty = "shorty"\n');
    expectFailure(await run(['build', bench.context('FROM shorty:1\n')]), {
      code: 2,
      says: ['its alias in registries.conf'],
    });
    writeFileSync(conf(), '[aliases]\nshorty = ""\n');
    expectFailure(await run(['build', '--offline', bench.context('FROM shorty:1\n')]), {
      says: ['docker.io/library/shorty:1'],
    });
  });
});
