import { describe, expect, test } from 'vitest';
import type { CompiledRequest } from '../../../src/engine/compile/compile.ts';
import type { OutputRequest } from '../../../src/engine/building/outputs.ts';
import type { Session } from '../../../src/engine/session.ts';
import { solveAndExport } from '../../../src/engine/building/solve-export.ts';
import type { OutputSpec } from '../../../src/exporter/index.ts';
import { SolveError } from '../../../src/solver/index.ts';
import { DamageError } from '../../../src/store/damage.ts';
import { sha256, TsbuildError } from '../../../src/util/index.ts';
import { openStore } from '../../store/support.ts';
import { testTask } from '../../support/task.ts';

type Layers = readonly (readonly string[])[];

/** A solver that does in turn what it is told, the last for ever, and the rest of a build without images. */
async function run(
  attempts: readonly (() => Layers)[],
  options: {
    readonly outputs?: readonly OutputSpec[];
    readonly imports?: { damages: number }[];
    readonly imported?: readonly string[];
    readonly task?: ReturnType<typeof testTask>;
  } = {},
): Promise<{
  readonly outcome: Layers | string;
  readonly log: readonly string[];
  readonly warnings: readonly string[];
}> {
  using opened = openStore();
  const log: string[] = [];
  const warnings: string[] = [];
  const task = options.task ?? testTask();
  const session = {
    now: () => 0,
    store: opened.store,
    options: { onWarning: (message: string) => warnings.push(message) },
    witness: { refuse: () => undefined },
    layers: {
      isImported: (id: string) => options.imported?.includes(id) === true,
      fetch: async (_task: unknown, ids: readonly string[]) => void log.push(`fetch ${ids.join()}`),
      directories: async (_task: unknown, ids: readonly string[]) => ids,
    },
  } as unknown as Session;
  let solved = 0;
  const solver = {
    solve: async (): Promise<Layers> => {
      log.push('solve');
      return (attempts[Math.min(solved++, attempts.length - 1)] ?? (() => []))();
    },
    reset: () => log.push('reset'),
  };
  const compiled = { compiled: { platforms: [], multiPlatform: false }, solver } as unknown as CompiledRequest;
  const output: OutputRequest = { specs: options.outputs ?? [{ type: 'cacheonly' }], stdout: {} as never };
  const imports = options.imports ?? [];
  try {
    const { layers } = await solveAndExport(
      session,
      { solving: task, exporting: task },
      { ...compiled, imports },
      undefined,
      output,
    );
    return { outcome: layers, log, warnings };
  } catch (error) {
    return { outcome: (error as Error).message, log, warnings };
  }
}

const damaged = (): Layers => {
  throw new SolveError(sha256('v'), 'RUN true', new DamageError('TSB_DIGEST', 'Blob x was damaged'));
};
const broken = (): Layers => {
  throw new TsbuildError('TSB_STEP', 'exit code 1');
};
const good = (): Layers => [['a', 'b']];

describe('solving and exporting', () => {
  test('once, when all is well', async () => {
    expect(await run([good])).toEqual({ outcome: [['a', 'b']], log: ['solve'], warnings: [] });
  });

  test('what was damaged in the store is made again, and the user is told each time', async () => {
    expect(await run([damaged, damaged, good])).toEqual({
      outcome: [['a', 'b']],
      log: ['solve', 'reset', 'solve', 'reset', 'solve'],
      warnings: ['Blob x was damaged. It is made again', 'Blob x was damaged. It is made again'],
    });
  });

  test('a disk that damages everything ends the build at some time', async () => {
    const { outcome, log } = await run([damaged]);
    expect(outcome).toBe('Blob x was damaged');
    expect(log.filter((line) => line === 'solve')).toHaveLength(10);
  });

  test('no other failure is tried again, and no canceled build', async () => {
    expect(await run([broken, good])).toEqual({ outcome: 'exit code 1', log: ['solve'], warnings: [] });
    const task = testTask();
    const aborted = (): Layers => {
      task.controller.abort();
      return damaged();
    };
    expect(await run([aborted, good], { task })).toMatchObject({ log: ['solve'], warnings: [] });
  });

  test('a cache that was given up meanwhile is done without; one that was given up before is no reason', async () => {
    const cache = { damages: 0 };
    const giveUp = (): Layers => {
      cache.damages = 1;
      return broken();
    };
    expect(await run([giveUp, good], { imports: [cache, { damages: 0 }] })).toEqual({
      outcome: [['a', 'b']],
      log: ['solve', 'reset', 'solve'],
      warnings: [],
    });
    expect(await run([broken, good], { imports: [{ damages: 1 }] })).toMatchObject({ log: ['solve'] });
  });

  test('without outputs, layers of an imported cache stay where they are', async () => {
    expect((await run([good], { imported: ['b'] })).log).toEqual(['solve']);
  });
});
