import { expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';

describeAsEveryone('time limits', (who) => {
  const use = useBench(who);

  /** A build that must fail: its exit code, what it said, and how long it took. */
  const failing = async (
    dockerfile: string,
    args: readonly string[],
  ): Promise<{ code: number; err: string; ms: number }> => {
    const context = use.bench.context(dockerfile, {});
    return use.bench.tsbuild(['build', '--progress=plain', '-o', 'type=cacheonly', ...args, context]);
  };
  /** Processes of this bench that are still there. */
  const left = async (): Promise<readonly string[]> => use.bench.leftovers();

  test('a step that hangs is ended, with what it printed, its place and the way out', async () => {
    // On a busy machine its program may not come to print in a moment, but it does in a quarter of a minute.
    for (const [limit, said] of [
      ['1500ms', '1s500ms'],
      ['15s', '15s'],
    ] as const) {
      const { code, err, ms } = await failing('FROM base:1\nRUN echo begun; sleep 1000\n', ['--step-timeout', limit]);
      expect(code).toBe(124);
      expect(err).toContain(`was ended: it ran longer than ${said}`);
      expect(err).toContain('>>> RUN echo begun; sleep 1000');
      expect(err).toContain('# tsbuild: timeout=20m');
      expect(ms).toBeLessThan(60_000);
      if (limit === '1500ms' && !/ begun$/m.test(err)) continue;
      expect(err).toMatch(/ begun$/m);
      break;
    }
    expect(await left()).toEqual([]);
    expect((await use.bench.ok(['logs', 'echo begun'])).out).toContain('begun');
  });

  test('a comment above a step is for that one alone', async () => {
    const dockerfile = `FROM base:1
# tsbuild: timeout=10m
RUN sleep 2 && echo slow
# Documentation may stand beside it.
# tsbuild: timeout=500ms
RUN sleep 1000
`;
    const { code, err } = await failing(dockerfile, ['--step-timeout=1s']);
    expect(code).toBe(124);
    expect(err).toContain('slow');
    expect(err).toContain('it ran longer than 500ms');
  });

  test('the cache does not ask for time limits', async () => {
    const build = (comment: string): Promise<string> =>
      use.bench
        .ok([
          'build',
          '--progress=plain',
          '-o',
          'type=cacheonly',
          use.bench.context(`FROM base:1\n${comment}RUN echo same > /s\n`, {}),
        ])
        .then(({ err }) => err);
    await build('');
    expect(await build('# tsbuild: timeout=5m\n')).toMatch(/RUN echo same > \/s\n#\d+ CACHED/);
  });

  test('a build that takes too long is ended, and says what it was at', async () => {
    // A busy machine may not come to the step in a moment, but it does in half a minute.
    for (const limit of ['3s', '30s']) {
      const { code, err, ms } = await failing('FROM base:1\nRUN sleep 1000\n', ['--timeout', limit]);
      expect(code).toBe(124);
      expect(err).toContain(`The build took longer than ${limit}; it was at "`);
      expect(ms).toBeLessThan(60_000);
      if (limit === '3s' && !err.includes('it was at "[2/2]')) continue;
      expect(err).toContain('it was at "[2/2] RUN sleep 1000"');
      break;
    }
    expect(await left()).toEqual([]);
  });

  test('one that is done in time is not held up by the clock', async () => {
    const context = use.bench.context('FROM base:1\nRUN true\n', {});
    const { ms } = await use.bench.ok([
      'build',
      '--timeout=10m',
      '--step-timeout=10m',
      '-o',
      'type=cacheonly',
      context,
    ]);
    expect(ms).toBeLessThan(60_000);
  });

  test('network=none in a comment is RUN --network=none', async () => {
    const context = use.bench.context('FROM base:1\n# tsbuild: network=none\nRUN cat /proc/net/dev\n', {});
    const { err } = await use.bench.ok(['build', '--progress=plain', '--no-cache', '-o', 'type=cacheonly', context]);
    expect(err).toContain('lo:');
    expect(err).not.toMatch(/eth0|ens\d|enp\d/);
    const plain = use.bench.context('FROM base:1\nRUN --network=none cat /proc/net/dev\n', {});
    const again = await use.bench.ok(['build', '--progress=plain', '-o', 'type=cacheonly', plain]);
    expect(again.err).toContain('CACHED');
  });

  test.each<[string, string, RegExp]>([
    ['an unknown setting', '# tsbuild: timout=1m', /no setting "timout"[\s\S]*did you mean timeout=/],
    ['no time', '# tsbuild: timeout=soon', /timeout=soon is no time[\s\S]*for example 90s/],
    ['no limit', '# tsbuild: timeout=0s', /timeout=0s is no time/],
    ['another network', '# tsbuild: network=bridge', /network=bridge is no network/],
    ['a network that is not granted', '# tsbuild: network=host', /entitlement network.host is not allowed/],
  ])('%s is refused with its place', async (_what, comment, message) => {
    const { code, err } = await failing(`FROM base:1\n${comment}\nRUN true\n`, []);
    expect(code).toBe(1);
    expect(err).toMatch(message);
    expect(err).toContain('>>> RUN true');
  });

  test('times that are none are refused', async () => {
    for (const args of [['--timeout', 'x'], ['--timeout=0s'], ['--step-timeout=10'], ['--step-timeout=90d']]) {
      const { code, err } = await failing('FROM base:1\n', args);
      expect(code, args.join(' ')).toBe(2);
      expect(err).toMatch(/^error: Cannot use/m);
    }
  });
});
