import { describe, expect, test } from 'vitest';
import type { CompiledGraphs } from '../../src/engine/compiled.ts';
import { retireCacheMounts } from '../../src/engine/mounts/fresh-mounts.ts';
import { offlineRegistry } from '../../src/engine/offline-registry.ts';
import { parseReference } from '../../src/image/index.ts';
import { image, loadGraph, marshal, type State } from '../../src/llb/index.ts';
import { offlineRefusals } from '../../src/pins/index.ts';
import type { Store } from '../../src/store/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { testTask } from '../support/task.ts';

describe('the registry of --offline', () => {
  const reference = parseReference('registry.test/team/app:1');
  const digest = sha256('layer');
  const blob = { digest, size: 1 };

  test('refuses everything, and says of each what was wanted', async () => {
    const refusals = offlineRefusals();
    const registry = offlineRegistry(refusals);
    const task = testTask();
    const asked: readonly (readonly [string, () => Promise<unknown>])[] = [
      ['image registry.test/team/app:1', () => registry.resolve(task, reference)],
      ['image registry.test/team/app:1', () => registry.manifest(task, reference)],
      [`layer ${digest} of registry.test/team/app`, () => registry.blob(task, reference, blob).next()],
      ['repository registry.test/team/app', () => registry.hasBlob(task, reference, blob)],
      ['repository registry.test/team/app', () => registry.pushBlob(task, reference, { ...blob, open: () => [] })],
      ['repository registry.test/team/app:1', () => registry.pushManifest(task, reference, 'x', Buffer.from('x'))],
      ['repository registry.test/team/app', () => registry.referrers(task, reference, digest)],
    ];
    let first: unknown;
    for (const [what, ask] of asked) {
      const error: unknown = await ask().then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      first ??= error;
      expect(error).toMatchObject({
        code: 'TSB_NETWORK',
        message: expect.stringContaining(`Cannot use ${what}: `) as string,
      });
    }
    // Each once, however often it was asked for.
    const { message } = refusals.explain(first) as Error;
    expect(message.split('\n').slice(1)).toEqual([
      '  image registry.test/team/app:1',
      `  layer ${digest} of registry.test/team/app`,
      '  repository registry.test/team/app',
      '  repository registry.test/team/app:1',
    ]);
    await registry[Symbol.asyncDispose]();
  });
});

describe('cache mounts of steps that are to run again', () => {
  const base = image('docker.io/library/base:1');
  const step = (on: State, ids: readonly string[], ignoreCache: boolean): State =>
    on.run({
      args: [ids.join()],
      ignoreCache,
      mounts: ids.map((id) => ({ dest: `/${id}`, cache: { id, sharing: 'shared' as const } })),
    });
  function retired(...states: readonly State[]): readonly string[] {
    const ids: string[] = [];
    const store = { mounts: { retire: (id: string) => ids.push(id) } } as unknown as Store;
    const platforms = states.map((state) => ({ graph: loadGraph(marshal(state)) }));
    retireCacheMounts(store, { platforms } as unknown as CompiledGraphs);
    return ids.toSorted();
  }

  test('are emptied once, those of other steps not', () => {
    const fresh = step(base, ['a', 'b'], true);
    expect(retired(step(step(fresh, ['b', 'c'], true), ['kept'], false))).toEqual(['a', 'b', 'c']);
  });

  test('once for all platforms', () => {
    expect(retired(step(base, ['a'], true), step(base, ['a', 'b'], true))).toEqual(['a', 'b']);
  });

  test('not where the cache may be used, nor other mounts', () => {
    expect(retired(step(base, ['a'], false))).toEqual([]);
    const other = base.run({ args: ['x'], ignoreCache: true, mounts: [{ dest: '/t', tmpfs: { size: 0 } }] });
    expect(retired(other)).toEqual([]);
  });
});
