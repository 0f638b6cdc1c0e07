import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { isAlive } from '../support/alive.ts';
import { chainOf } from '../support/container-chain.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { expectSound } from '../support/sound.ts';

const COUNT = 10;
/** More with `npm run torture -- --containers N`. */
const ROUNDS = Math.ceil(Number(process.env['TORTURE_CONTAINERS'] ?? 30) / COUNT);

const untilGone = (pids: readonly number[]): Promise<void> => expect.poll(() => pids.filter(isAlive)).toEqual([]);

describeAsUser('containers whose processes are killed', (who) => {
  const use = useBench(who);

  test(
    'are told of as they are, leave nothing, and can be started again',
    async () => {
      const { bench } = use;
      const names = Array.from({ length: COUNT }, (_, at) => `victim${at}`);
      await Promise.all(
        names.map((name, at) =>
          bench.ok([
            'run',
            '-d',
            '--name',
            name,
            ...(at % 2 === 0 ? ['--init'] : []),
            'base:1',
            'sh',
            '-c',
            'sleep 1000 & sleep 1000',
          ]),
        ),
      );
      const pidsOf = async (): Promise<readonly number[]> => {
        const { out } = await bench.ok(['inspect', '-f', '{{.State.Pid}}', ...names]);
        return out.trim().split('\n').map(Number);
      };
      const statuses = async (): Promise<readonly string[]> => {
        const { out } = await bench.ok(['ps', '-a', '--format', '{{.Names}} {{.State}}']);
        return out.trim().split('\n').toSorted();
      };
      for (let round = 0; round < ROUNDS; round++) {
        expect(await statuses()).toEqual(names.map((name) => `${name} running`));
        const chains = (await pidsOf()).map(chainOf);
        // Somebody is inside of each, too.
        const inside = names.map((name) => bench.tsbuildStart(['exec', name, 'sh', '-c', 'echo begun; sleep 1000']));
        await Promise.all(inside.map(({ prints }) => prints(/begun/)));
        for (const [at, chain] of chains.entries()) process.kill(chain[(at + round) % chain.length] ?? 0, 'SIGKILL');
        await untilGone(chains.flat());
        for (const { ended } of inside) expect((await ended).code).not.toBe(0);
        expect(await statuses()).toEqual(names.map((name) => `${name} exited`));
        const { out } = await bench.ok(['inspect', '-f', '{{.State.ExitCode}} {{.State.Pid}}', ...names]);
        expect(new Set(out.trim().split('\n'))).toEqual(new Set(['137 0']));
        expect(await bench.leftovers()).toEqual([]);
        await bench.ok(['start', ...names]);
      }
      await bench.ok(['rm', '-f', ...names]);
      expect(await bench.leftovers()).toEqual([]);
      expect(bench.mounts()).toEqual([]);
      expect(readdirSync(join(bench.store, 'containers'))).toEqual(['by-name', 'events']);
      expect(readdirSync(join(bench.store, 'garbage'))).toEqual([]);
      await expectSound(bench);
    },
    60_000 + ROUNDS * 20_000,
  );

  test('whoever reads slowly gets all, and keeps nobody from starting it again', async () => {
    const { bench } = use;
    const lines = 150_000;
    const slow = bench.command(['run', '--rm', '--name', 'slow', 'base:1', 'seq', String(lines)]).join(' ');
    // Longer than a supervisor waits for its clients where somebody wants the container.
    const reading = bench.start(['sh', '-c', `{ ${slow}; echo ended with $?; } | { sleep 5; tail -n 2; }`]);

    const stopped = bench.tsbuildStart([
      'run',
      '--name',
      'again',
      'base:1',
      'sh',
      '-c',
      'echo begun; exec seq 1000000',
    ]);
    await stopped.prints(/begun/);
    stopped.child.kill('SIGSTOP');
    try {
      await bench.ok(['stop', '-t', '0', 'again']);
      await bench.ok(['start', 'again']);
      await bench.ok(['rm', '-f', 'again']);
    } finally {
      stopped.child.kill('SIGKILL');
    }
    await stopped.ended;
    expect((await reading.ended).out).toBe(`${lines}\nended with 0\n`);
    expect(await bench.leftovers()).toEqual([]);
  });

  test('a client that is killed while it makes or starts one leaves a container or none', async () => {
    const { bench } = use;
    for (let at = 0; at < 12; at++) {
      const name = `half${at}`;
      const client = bench.tsbuildStart(['run', '-d', '--name', name, 'base:1', 'sleep', '1000']);
      // From before anything is made until after it runs.
      await sleep(40 + at * 15);
      client.child.kill('SIGKILL');
      await client.ended;
    }
    const { out } = await bench.ok(['ps', '-a', '--format', '{{.Names}} {{.State}}']);
    for (const line of out.split('\n').filter(Boolean)) expect(line).toMatch(/^half\d+ (?:created|running)$/);
    const { out: ids } = await bench.ok(['ps', '-aq']);
    if (ids !== '') await bench.ok(['rm', '-f', ...ids.trim().split('\n')]);
    expect(await bench.leftovers()).toEqual([]);
    expect((await bench.ok(['ps', '-aq'])).out).toBe('');
    expect(existsSync(join(bench.store, 'store.json'))).toBe(true);
    await expectSound(bench);
  });
});
