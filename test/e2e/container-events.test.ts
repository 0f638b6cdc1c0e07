import { afterAll, beforeAll, expect, test } from 'vitest';
import { chainOf } from '../support/container-chain.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { expectFailure, expectSound } from '../support/sound.ts';
import { until } from '../support/until.ts';

describeAsEveryone('events', (who) => {
  const use = useBench(who);

  beforeAll(async () => {
    await use.bench.ok(['build', '-q', '-t', 'sleeps', use.bench.context('FROM base:1\nCMD ["sleep", "300"]\n')]);
  });
  afterAll(async () => {
    await expectSound(use.bench);
  });

  const actions = async (...options: string[]): Promise<readonly string[]> => {
    const { out } = await use.bench.ok([
      'events',
      '--no-stream',
      '--format',
      '{{.Actor.Attributes.name}} {{.Action}}',
      ...options,
    ]);
    return out.split('\n').filter(Boolean);
  };

  test('the life of a container, told while it happens and afterwards', async () => {
    const { bench } = use;
    const following = bench.tsbuildStart([
      'events',
      '--since',
      '1m',
      '--filter',
      'container=told',
      '--filter',
      'event=die',
      '--filter',
      'event=destroy',
    ]);
    await bench.ok(['create', '--name', 'told', '--label', 'tier=front', 'sleeps']);
    await bench.ok(['start', 'told']);
    await bench.ok(['pause', 'told']);
    await bench.ok(['unpause', 'told']);
    await bench.ok(['kill', 'told']);
    await bench.ok(['wait', 'told']);
    await following.prints(/ container die [0-9a-f]{64} \(exitCode=137, image=sleeps, name=told, tier=front\)\n/);
    await bench.ok(['rename', 'told', 'other']);
    await bench.ok(['rm', 'other']);
    expect(await actions('-f', 'label=tier=front')).toEqual([
      'told create',
      'told start',
      'told pause',
      'told unpause',
      'told kill',
      'told die',
      'other rename',
      'other destroy',
    ]);
    following.child.kill('SIGINT');
    expect((await following.ended).code).toBe(0);
  });

  test('a check, a container that goes by itself, one whose supervisor was killed', async () => {
    const { bench } = use;
    await bench.ok([
      'run',
      '-d',
      '--wait-healthy',
      '--rm',
      '--name',
      'checked',
      '--health-cmd',
      'true',
      '--health-interval',
      '100ms',
      'sleeps',
    ]);
    await bench.ok(['stop', '-t', '0', 'checked']);
    expect(await actions('-f', 'container=checked')).toEqual([
      'checked create',
      'checked start',
      'checked health_status: healthy',
      // Its signal, and SIGKILL.
      'checked kill',
      'checked kill',
      'checked die',
      'checked stop',
      'checked destroy',
    ]);
    expect(await actions('-f', 'container=checked', '-f', 'event=health_status')).toEqual([
      'checked health_status: healthy',
    ]);
    await bench.ok(['run', '-d', '--name', 'lost', 'sleeps']);
    const [, , supervisor = 0] = chainOf(Number((await bench.ok(['inspect', '-f', '{{.State.Pid}}', 'lost'])).out));
    process.kill(supervisor, 'SIGKILL');
    await until('it is told as it is', async () => (await bench.ok(['ps', '-q'])).out === '');
    await bench.ok(['ps', '-a']);
    // Told once, by whoever saw it first.
    expect(await actions('-f', 'container=lost')).toEqual(['lost create', 'lost start', 'lost die']);
    await bench.ok(['rm', 'lost']);
  });

  test('times, and what cannot be meant', async () => {
    const { bench } = use;
    const middle = new Date().toISOString();
    await bench.ok(['run', '--rm', '--name', 'late', 'base:1', 'true']);
    expect(await actions('--since', middle)).toEqual(['late create', 'late start', 'late die', 'late destroy']);
    expect((await actions('--until', middle)).some((line) => line.startsWith('late'))).toBe(false);
    const [line = ''] = (await bench.ok(['events', '--since', middle, '--until', '0s', '--format', 'json'])).out.split(
      '\n',
    );
    expect(JSON.parse(line)).toMatchObject({
      Type: 'container',
      Action: 'create',
      from: 'base:1',
      Actor: { Attributes: { name: 'late' } },
    });
    for (const [args, says] of [
      [['--filter', 'what=x'], 'container'],
      [['--filter', 'event'], 'NAME=VALUE'],
      [['--since', 'nonsense'], '--since'],
      [['--since', '1m', '--until', '2m'], 'before'],
    ] as const)
      expectFailure(await bench.tsbuild(['events', ...args]), { code: 2, says: [says] });
  });
});
