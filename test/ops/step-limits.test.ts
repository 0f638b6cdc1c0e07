import { describe, expect, test } from 'vitest';
import { kernelFiles, Limiter } from '../../src/limits/index.ts';
import type { ExitStatus } from '../../src/sandbox/index.ts';
import { testTask } from '../support/task.ts';
import { execOf, openKit, vertexOf } from './support.ts';

describe('limits of a step', () => {
  /** A machine whose kernel ends processes when it is told to. */
  const machine = (said: string[] = []) => {
    const files = { ...kernelFiles, read: () => undefined as string | undefined };
    const limiter = new Limiter({ ledger: '/nonexistent', onWarning: (text) => void said.push(text), files });
    return { files, limiter };
  };

  test('are part of what the worker is told, and of no key', async () => {
    const { limiter } = machine();
    using kit = await openKit({ limits: { of: () => ({ memory: 2 ** 26 }), limiter } });
    await kit.runner.exec(
      testTask(),
      vertexOf(execOf({ meta: { ulimits: [{ name: 'core', soft: 0, hard: 0 }] } })),
      [],
    );
    expect(kit.steps[0]?.ulimits).toEqual([
      { name: 'data', soft: 2 ** 26, hard: 2 ** 26 },
      { name: 'core', soft: 0, hard: 0 },
    ]);
    await kit.runner.exec(
      testTask(),
      vertexOf(execOf({ meta: { ulimits: [{ name: 'data', soft: 5, hard: 5 }] } })),
      [],
    );
    expect(kit.steps[1]?.ulimits).toEqual([{ name: 'data', soft: 5, hard: 5 }]);
  });

  test.each<[string, ExitStatus, string, string]>([
    [
      'says no',
      { kind: 'exited', code: 1 },
      "sh: can't allocate memory\n",
      'exit code: 1: out of memory (limit: 64m for each process)',
    ],
    [
      'says no in C++',
      { kind: 'exited', code: 134 },
      'std::bad_alloc\n',
      'exit code: 134: out of memory (limit: 64m for each process)',
    ],
    ['fails otherwise', { kind: 'exited', code: 1 }, 'no such file\n', 'exit code: 1'],
  ])('a process that %s', async (_what, status, printed, words) => {
    const { limiter } = machine();
    using kit = await openKit({ limits: { of: () => ({ memory: 2 ** 26 }), limiter } });
    kit.worker.on.runStep = (_spec, { onOutput }) => {
      void onOutput?.(2, Buffer.from(printed));
      return status;
    };
    await expect(kit.runner.exec(testTask(), vertexOf(execOf()), [])).rejects.toMatchObject({
      message: `process "/bin/sh -c make" did not complete successfully: ${words}`,
    });
  });

  test.each<[string, ExitStatus, number, RegExp]>([
    ['killed while memory ran out', { kind: 'signaled', signal: 'SIGKILL' }, 1, /SIGKILL: out of memory: the machine/],
    ['whose child was', { kind: 'exited', code: 137 }, 1, /exit code: 137: out of memory: the machine/],
    ['killed while there was memory', { kind: 'signaled', signal: 'SIGKILL' }, 0, /SIGKILL$/],
    ['that fails while another is killed', { kind: 'exited', code: 1 }, 1, /exit code: 1$/],
  ])('without any: a step %s', async (_what, status, kills, words) => {
    const { files, limiter } = machine();
    files.read = () => 'nr_free_pages 1\noom_kill 4\n';
    using kit = await openKit({ limits: { of: () => ({}), limiter } });
    kit.worker.on.runStep = () => {
      files.read = () => `nr_free_pages 1\noom_kill ${4 + kills}\n`;
      return status;
    };
    await expect(kit.runner.exec(testTask(), vertexOf(execOf()), [])).rejects.toThrow(words);
  });
});
