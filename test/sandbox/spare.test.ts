import { describe, expect, test } from 'vitest';
import { everyone, runScenario } from './support/run-as.ts';
import type { killSpare, spareFor, spareMemory } from './support/spare-scenarios.ts';

type Said = Awaited<ReturnType<typeof spareFor>>;

describe.each(everyone)('the process for the next step (%s)', (who) => {
  test('is that of a step with the same surroundings, and no other’s', async () => {
    const specs = [{}, {}, { hostname: 'other' }, { hostname: 'other' }, { network: 'none' }];
    const results = await runScenario<Said>(who, 'spareFor', specs);
    expect(results.map(({ waits, runs }) => [runs.startsWith('mnt:['), waits === runs])).toEqual([
      [true, true],
      [true, true],
      [true, false],
      [true, true],
      [true, false],
    ]);
    // Nothing of what the step before did: its files, its processes, its name.
    expect(results.map(({ says: [hostname, , ...files] }) => [hostname, files.slice(0, -1)])).toEqual(
      ['buildkitsandbox', 'buildkitsandbox', 'other', 'other', 'buildkitsandbox'].map((name) => [
        name,
        ['/dev/shm:', '', '/tmp:'],
      ]),
    );
    expect(results.at(-1)?.says.at(-1), 'interfaces without a network').toBe('1');
  });

  test('knows nothing of the step before but its surroundings', async () => {
    const found = await runScenario<Awaited<ReturnType<typeof spareMemory>>>(who, 'spareMemory');
    expect(found).toEqual({ secret: false, hostname: true });
  });

  test.each(['outer', 'inner', 'helper'] as const)('is missed by nobody when it was killed (%s)', async (which) => {
    const found = await runScenario<Awaited<ReturnType<typeof killSpare>>>(who, 'killSpare', which);
    expect(found).toEqual({ gone: true, says: ['one\n', 'two\n'] });
  });
});
