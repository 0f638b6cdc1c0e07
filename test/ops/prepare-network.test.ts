import { expect, test } from 'vitest';
import type { FileOp } from '../../src/llb/index.ts';
import { testTask } from '../support/task.ts';
import { execOf, type KitOptions, mountOf, openKit, vertexOf } from './support.ts';

const file: FileOp = {
  kind: 'file',
  actions: [
    {
      input: -1,
      secondaryInput: -1,
      output: 0,
      action: { kind: 'mkdir', path: '/d', mode: 0o755, makeParents: false },
    },
  ],
} as unknown as FileOp;

/** How often the network was asked for before the first step, and in all. */
async function asked(options: KitOptions): Promise<readonly [number, number]> {
  using kit = await openKit(options);
  kit.worker.on.prepareNetwork = () => undefined;
  kit.worker.on.fileOp = () => ({ warnings: [] });
  await kit.runner.exec(testTask(), vertexOf(file), []).catch(() => undefined);
  await expect.poll(() => kit.worker.calls.length).toBeGreaterThan(0);
  const before = kit.worker.count('prepareNetwork');
  const step = vertexOf(execOf({ mounts: [mountOf()] }));
  for (let at = 0; at < 2; at++) await kit.runner.exec(testTask(), step, []);
  return [before, kit.worker.count('prepareNetwork')];
}

test('new files beneath a step with a network have it begun', async () => {
  expect(await asked({ beforeNetwork: new Set([vertexOf(file).digest]) })).toEqual([1, 1]);
});

test('other files do not', async () => {
  expect(await asked({ beforeNetwork: new Set() })).toEqual([0, 1]);
  expect(await asked({})).toEqual([0, 1]);
});
