import { describe, expect, test } from 'vitest';
import {
  encodeTreeRecord,
  openEnvelope,
  type Policy,
  seal,
  sendTreeSummary,
  SharedCache,
  type StepPlace,
  treeRecordName,
  trustAll,
} from '../../src/remote-cache/index.ts';
import { encodeSummary, SummaryTree, type TreeNode } from '../../src/tree/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { keyPairOf } from '../support/key-pair.ts';
import { testTask } from '../support/task.ts';
import type { SharedCacheFixture } from './shared-cache.ts';

const TREE_TYPE = 'application/vnd.tsbuild.tree.v1+json';
const CHAIN = sha256('image');
const OTHER = sha256('another image');
const node: TreeNode = { type: 'directory', mode: 0o755, uid: 0, gid: 0, size: 0, mtimeNs: 0n, linkname: '' };
const SUMMARY = encodeSummary(new SummaryTree({ path: '', node, entries: new Map() })) ?? new Uint8Array();

const target = (place: StepPlace, more: object = {}): Parameters<typeof sendTreeSummary>[1] => ({
  place,
  author: { who: 'alice' },
  now: () => 1000.5,
  ...more,
});

const record = (scope: string, more: object = {}): Parameters<typeof encodeTreeRecord>[0] => ({
  scope,
  name: treeRecordName(CHAIN),
  chain: CHAIN,
  writtenAt: 1,
  author: {},
  summary: SUMMARY,
  ...more,
});

/** As a build reads a place. */
function reader(
  place: StepPlace,
  policy: Policy = trustAll,
): { readonly cache: SharedCache<never>; readonly warnings: readonly string[] } {
  const warnings: string[] = [];
  const use = (): never => {
    throw new Error('Nothing has a result');
  };
  const onWarning = (message: string): void => void warnings.push(message);
  return {
    cache: new SharedCache<never>({ place, policy, task: testTask(), patienceMs: 0, use, onWarning }),
    warnings,
  };
}

/** The contract of a place for summaries of base images: what steps' records have it for is all that they need. */
export function sharedTreesSuite(name: string, make: () => Promise<SharedCacheFixture>): void {
  describe(`trees of base images in ${name}`, () => {
    test('are found by another machine, by the image alone, and sent once', async () => {
      await using fixture = await make();
      const summary = { chain: CHAIN, summary: SUMMARY };
      expect(await sendTreeSummary(testTask(), target(fixture.open('main')), summary, false)).toBe(true);
      expect(await sendTreeSummary(testTask(), target(fixture.open('main')), summary, false)).toBe(false);
      const place = fixture.open('main');
      const before = fixture.requests?.() ?? 0;
      const { cache, warnings } = reader(place);
      expect(Buffer.from((await cache.treeSummary(CHAIN)) ?? [])).toEqual(Buffer.from(SUMMARY));
      // One question, and one answer.
      if (fixture.requests) expect(fixture.requests() - before).toBe(1);
      expect(await cache.treeSummary(OTHER)).toBeUndefined();
      expect(await reader(fixture.open('pr-1')).cache.treeSummary(CHAIN)).toBeUndefined();
      expect(warnings).toEqual([]);
    });

    test.each<[string, (scope: string) => Uint8Array]>([
      ['no envelope', () => Buffer.from('{}')],
      ['the envelope of a step', (scope) => seal(encodeTreeRecord(record(scope)), undefined)],
      ['of another scope', () => seal(encodeTreeRecord(record('other')), undefined, TREE_TYPE)],
      ['of another image', (scope) => seal(encodeTreeRecord(record(scope, { chain: OTHER })), undefined, TREE_TYPE)],
      [
        'of another name',
        (scope) => seal(encodeTreeRecord(record(scope, { name: treeRecordName(OTHER) })), undefined, TREE_TYPE),
      ],
      [
        'no summary of a tree',
        (scope) => seal(encodeTreeRecord(record(scope, { summary: Buffer.from('tree') })), undefined, TREE_TYPE),
      ],
    ])('one that is %s is done without, with a warning, until it is sent again', async (_, forge) => {
      await using fixture = await make();
      await sendTreeSummary(testTask(), target(fixture.open('main')), { chain: CHAIN, summary: SUMMARY }, false);
      await fixture.setRecord('main', treeRecordName(CHAIN), forge('main'));
      const { cache, warnings } = reader(fixture.open('main'));
      expect(await cache.treeSummary(CHAIN)).toBeUndefined();
      expect(warnings).toEqual([expect.stringMatching(/^Cannot use record.*The base image is fetched$/s)]);
      expect([...cache.damagedTrees]).toEqual([CHAIN]);
      await sendTreeSummary(testTask(), target(fixture.open('main')), { chain: CHAIN, summary: SUMMARY }, true);
      expect(await reader(fixture.open('main')).cache.treeSummary(CHAIN)).toBeDefined();
    });

    test('are used only as far as somebody who may write there has signed them (CAC-01)', async () => {
      await using fixture = await make();
      const [mine, theirs] = [keyPairOf(), keyPairOf()];
      const policy = { keysFor: () => [mine] };
      for (const [key, isGood] of [
        [undefined, false],
        [theirs, false],
        [mine, true],
      ] as const) {
        const signed = target(fixture.open('main'), key === undefined ? {} : { key });
        await sendTreeSummary(testTask(), signed, { chain: CHAIN, summary: SUMMARY }, true);
        const { cache, warnings } = reader(fixture.open('main'), policy);
        expect((await cache.treeSummary(CHAIN)) !== undefined).toBe(isGood);
        expect(warnings).toHaveLength(isGood ? 0 : 1);
      }
      const bytes = await fixture.open('main').record(testTask(), treeRecordName(CHAIN));
      expect(openEnvelope(bytes ?? Buffer.alloc(0), 'test', [TREE_TYPE]).signatures).toHaveLength(1);
    });

    test('are done without where nobody answers', async () => {
      await using fixture = await make();
      if (!fixture.stop) return;
      const place = fixture.open('main');
      await fixture.stop();
      const { cache, warnings } = reader(place);
      expect(await cache.treeSummary(CHAIN)).toBeUndefined();
      expect(await cache.treeSummary(OTHER)).toBeUndefined();
      expect(warnings).toHaveLength(1);
    });
  });
}
