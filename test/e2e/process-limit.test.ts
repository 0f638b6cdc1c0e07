import { expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';

/** A shell that has so many processes at a time, and fails where it cannot start one. */
const many = (count: number): string =>
  `i=0; while [ $i -lt ${count} ]; do sleep 1000 & i=$((i+1)); done; echo all ${count} are there; kill $(jobs -p)`;

describeAsEveryone('processes of a step', (who) => {
  const use = useBench(who);
  const build = (dockerfile: string, ...flags: string[]) =>
    use.bench.tsbuild(['build', '--progress=plain', '--no-cache', ...flags, use.bench.context(dockerfile)]);

  test('are limited to 2,048, and to another number on demand', async () => {
    const said = async (...flags: string[]) => (await build('FROM base:1\nRUN echo most $(ulimit -u)\n', ...flags)).err;
    expect(await said()).toContain(' most 2048\n');
    expect(await said('--pids-limit=100')).toContain(' most 100\n');
    expect(await said('--ulimit=nproc=77')).toContain(' most 77\n');
    for (const none of ['-1', '0']) expect(await said('--pids-limit', none)).not.toContain(' most 2048\n');
    const { code, err } = await build('FROM base:1\n', '--pids-limit=many');
    expect(code).toBe(2);
    expect(err).toContain('Cannot use --pids-limit "many": expected a number of processes');
  });

  test('that are too many fail the step, which says what to type', async () => {
    const { code, err } = await build(`FROM base:1\nRUN ${many(60)}\n`, '--pids-limit=40');
    expect(code).toBe(1);
    expect(err).not.toContain('all 60 are there\n');
    expect(err).toMatch(
      /^hint: the step may have 40 processes at a time: --pids-limit NUMBER sets another limit, --pids-limit -1 none$/m,
    );
    expect((await build(`FROM base:1\nRUN ${many(60)}\n`)).err).toContain('all 60 are there\n');
    // Any other failure has no such hint.
    expect((await build('FROM base:1\nRUN false\n', '--pids-limit=40')).err).not.toContain('pids-limit');
  });

  test('are counted for each step, not with those of its neighbours or of tsbuild', async () => {
    const stage = (at: number): string => `FROM base:1 AS s${at}\nRUN ${many(30)}; echo ${at} > /made\n`;
    const { code, err } = await build(
      `${[1, 2, 3, 4].map(stage).join('')}FROM scratch\n${[1, 2, 3, 4].map((at) => `COPY --from=s${at} /made /${at}\n`).join('')}`,
      '--pids-limit=34',
      '--jobs=4',
    );
    expect(code, err).toBe(0);
  });

  test('do not decide what is in the cache', async () => {
    const context = use.bench.context('FROM base:1\nRUN echo once\n');
    await use.bench.ok(['build', context]);
    expect((await use.bench.ok(['build', '--progress=plain', '--pids-limit=9', context])).err).toMatch(
      /^#\d+ CACHED$/m,
    );
  });

  test('of a container are limited, too', async () => {
    const { bench } = use;
    expect((await bench.ok(['run', 'base:1', 'sh', '-c', 'ulimit -u'])).out).toBe('2048\n');
    const bomb = await bench.tsbuild(['run', '--pids-limit=20', 'base:1', 'sh', '-c', many(40)]);
    expect(bomb.out).not.toContain('all 40');
    expect(bomb.err).toContain("can't fork");
  });

  test('have no rights over anything but namespaces of their own', async () => {
    const own = async (): Promise<string> =>
      /user:\[\d+\]/.exec((await build('FROM base:1\nRUN readlink /proc/self/ns/user\n')).err)?.[0] ?? '';
    // Each waits for the other: of one that has ended the next may have the number.
    const beside = (mine: string, other: string): string =>
      `RUN --mount=type=cache,target=/c : > /c/${mine}; until [ -e /c/${other} ]; do sleep 0.05; done; readlink /proc/self/ns/user > /ns\n`;
    const two = await build(
      `FROM base:1 AS a\n${beside('a', 'b')}FROM base:1 AS b\n${beside('b', 'a')}` +
        'FROM base:1\nCOPY --from=a /ns /a\nCOPY --from=b /ns /b\nRUN cmp -s /a /b || echo different\n',
      '--jobs=2',
    );
    expect(two.err).toMatch(/^#\d+ [\d.]+ different$/m);
    expect(await own()).not.toBe('');
  });
});
