import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseReference } from '../../../src/image/index.ts';
import { createRegistry, listTags, ManifestRemover, type Registry } from '../../../src/registry/index.ts';
import { pruneRegistry, RegistryPlace } from '../../../src/remote-cache/index.ts';
import { treeRecordName } from '../../../src/remote-cache/trees/record.ts';
import { sendTreeSummary } from '../../../src/remote-cache/trees/send.ts';
import { sha256 } from '../../../src/util/index.ts';
import { recordTag } from '../../../src/remote-cache/steps/names.ts';
import type { SolverVertex } from '../../../src/solver/index.ts';
import { type TestOp, vtx } from '../../solver/rig.ts';
import { startRegistry, type TestRegistry } from '../../support/registry.ts';
import { Machine } from '../../support/shared-cache.ts';
import { testTask } from '../../support/task.ts';

const HOUR = 3_600_000;
const NOW = 1_700_000_000_000;
const options = { now: () => Date.now() };

/** A graph of one step. */
const step = (name: string): SolverVertex<TestOp> => vtx(name, { inputs: [vtx('base', { value: 'base' })] });

describe('a cache in a registry', () => {
  let server: TestRegistry;
  let client: Registry;
  beforeAll(async () => {
    server = await startRegistry();
    client = createRegistry(options);
  });
  afterAll(async () => {
    await client[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const open = (path: string, scope?: string): RegistryPlace =>
    new RegistryPlace(client, parseReference(`${server.host}/${path}:cache`), scope);
  const ran = async (path: string, name: string, scope?: string): Promise<boolean> =>
    (await new Machine().build(step(name), { from: [open(path, scope)] })).executed.includes(name);

  async function prune(path: string, rule: Parameters<typeof pruneRegistry>[2]) {
    const reference = parseReference(`${server.host}/${path}:cache`);
    const tags = await listTags(testTask(), reference, { ...options, limit: 1000 });
    await using remover = new ManifestRemover(reference, options);
    const cache = { registry: client, reference, tags, now: NOW, remove: remover.remove.bind(remover) };
    return await pruneRegistry(testTask(), cache, rule);
  }

  test('loses what was not used for long, in all scopes, and its indexes know', async () => {
    const ages = { old: 50 * HOUR, used: 49 * HOUR, young: HOUR };
    for (const [name, age] of Object.entries(ages))
      await new Machine().build(step(name), { to: open('aged'), now: () => NOW - age });
    await new Machine().build(step('old'), { to: open('aged', 'pr-1'), now: () => NOW - 50 * HOUR });
    // Used later by a build that keeps it from expiring.
    const later = { from: [open('aged')], to: open('aged'), touchMs: 0, now: () => NOW - 2 * HOUR };
    await new Machine().build(step('used'), later);
    const would = await prune('aged', { before: NOW - 48 * HOUR, dryRun: true });
    expect(would.deleted).toHaveLength(2);
    expect(await ran('aged', 'old')).toBe(false);
    expect((await prune('aged', { before: NOW - 48 * HOUR })).deleted.toSorted()).toEqual(would.deleted.toSorted());
    expect(await ran('aged', 'old')).toBe(true);
    expect(await ran('aged', 'old', 'pr-1')).toBe(true);
    expect(await ran('aged', 'used')).toBe(false);
    expect(await ran('aged', 'young')).toBe(false);
    expect(await prune('aged', { before: NOW - 48 * HOUR })).toMatchObject({ deleted: [] });
  });

  test('is made as small as it may be, oldest first, but for what is being written', async () => {
    for (const [name, age] of [['a', 3], ['b', 2], ['c', 1], ['d', 0]] as const)
      await new Machine().build(step(name), { to: open('sized'), now: () => NOW - age * HOUR }); // oxfmt-ignore
    const all = await prune('sized', { maxBytes: 1e12, dryRun: true });
    const some = await prune('sized', { maxBytes: all.bytes - 1 });
    expect(some.deleted).toHaveLength(1);
    expect(some.bytes).toBeLessThan(all.bytes);
    expect([await ran('sized', 'a'), await ran('sized', 'b')]).toEqual([true, false]);
    expect((await prune('sized', { maxBytes: 0 })).deleted).toHaveLength(2);
    expect(await ran('sized', 'd')).toBe(false);
    // Tags of images are nobody's to delete, and neither is a tag that looks like a record's.
    expect(await prune('sized', { maxBytes: 0 })).toMatchObject({ deleted: [] });
    const tags = await listTags(testTask(), parseReference(`${server.host}/sized`), { ...options, limit: 100 });
    expect(tags).toHaveLength(2);
    expect(tags).toContain('cache');
    const fake = parseReference(`${server.host}/sized:${recordTag('x', '0'.repeat(64))}`);
    const index = await client.manifest(testTask(), parseReference(`${server.host}/sized:cache`));
    await client.pushManifest(testTask(), fake, index.descriptor.mediaType, index.bytes);
    expect(await prune('sized', { before: NOW })).toMatchObject({ deleted: [] });
  });

  test('loses summaries of base images, too', async () => {
    const chains = { old: sha256('old'), young: sha256('young') };
    const send = (name: keyof typeof chains, age: number): Promise<boolean> => {
      const target = { place: open('trees'), author: {}, now: () => NOW - age };
      return sendTreeSummary(testTask(), target, { chain: chains[name], summary: Buffer.from(name) }, false);
    };
    expect([await send('old', 50 * HOUR), await send('young', HOUR)]).toEqual([true, true]);
    const found = (): Promise<readonly boolean[]> =>
      Promise.all(
        Object.values(chains).map(
          async (chain) => (await open('trees').record(testTask(), treeRecordName(chain))) !== undefined,
        ),
      );
    expect(await found()).toEqual([true, true]);
    expect((await prune('trees', { before: NOW - 48 * HOUR })).deleted).toHaveLength(1);
    expect(await found()).toEqual([false, true]);
    expect((await prune('trees', { maxBytes: 0 })).bytes).toBe(0);
  });

  test('that deletes nothing says so', async () => {
    await using other = await startRegistry({ deletes: false });
    const reference = parseReference(`${other.host}/app:cache`);
    const place = new RegistryPlace(client, reference, undefined);
    await new Machine().build(step('a'), { to: place, now: () => NOW - HOUR });
    const tags = await listTags(testTask(), reference, { ...options, limit: 100 });
    await using remover = new ManifestRemover(reference, options);
    const cache = { registry: client, reference, tags, now: NOW, remove: remover.remove.bind(remover) };
    await expect(pruneRegistry(testTask(), cache, { maxBytes: 0 })).rejects.toMatchObject({
      code: 'TSB_REGISTRY',
      message: expect.stringContaining('the registry deletes nothing') as string,
      hint: expect.stringContaining('REGISTRY_STORAGE_DELETE_ENABLED') as string,
    });
  });
});
