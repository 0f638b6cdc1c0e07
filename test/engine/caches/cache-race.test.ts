import { describe, expect, test } from 'vitest';
import { CacheRace } from '../../../src/engine/caches/cache-race.ts';
import { formatReference, parseReference } from '../../../src/image/index.ts';
import type { Registry } from '../../../src/registry/index.ts';
import type { CacheExport } from '../../../src/remote-cache/index.ts';
import { sha256, TsbuildError } from '../../../src/util/index.ts';
import { testTask } from '../../support/task.ts';

const reference = parseReference('registry.test/cache:main');
const registryExport = { type: 'registry', reference } as unknown as CacheExport;
const [OLD, OURS, THEIRS] = ['old', 'ours', 'theirs'].map((text) => sha256(text));
const ABSENT = new TsbuildError('TSB_NOT_FOUND', 'no such tag');
const DOWN = new TsbuildError('TSB_NETWORK', 'no answer');

type Answer = string | Error;

/** A build at whose begin and end the name stands for these. */
async function raced(before: Answer, after: Answer, exports: readonly CacheExport[] = [registryExport]) {
  const asked: string[] = [];
  let now = before;
  const registry = {
    resolve: async (_task: unknown, wanted: typeof reference) => {
      asked.push(formatReference(wanted));
      if (now instanceof Error) throw now;
      return { digest: now };
    },
  } as unknown as Registry;
  const race = new CacheRace(registry, testTask(), exports);
  // The first look is over.
  await new Promise((resolve) => setImmediate(resolve));
  now = after;
  return { lost: await race.lost(testTask(), reference, OURS ?? ''), asked };
}

describe('whether somebody else wrote the cache meanwhile', () => {
  test.each<[string, Answer, Answer, boolean]>([
    ['it is as it was', OLD ?? '', OLD ?? '', false],
    ['it is another one', OLD ?? '', THEIRS ?? '', true],
    ['there was none, and there is one', ABSENT, THEIRS ?? '', true],
    ['there was none, and there is none', ABSENT, ABSENT, false],
    ['it was taken away', OLD ?? '', ABSENT, false],
    ['somebody wrote just the same', OLD ?? '', OURS ?? '', false],
    ['nobody could tell at first', DOWN, THEIRS ?? '', false],
    ['nobody can tell now', OLD ?? '', DOWN, false],
  ])('%s', async (_what, before, after, lost) => {
    expect((await raced(before, after)).lost).toBe(lost);
  });

  test('only registries are asked, each name at the begin and at the end', async () => {
    const local = { type: 'local', dest: '/cache' } as unknown as CacheExport;
    expect((await raced(OLD ?? '', THEIRS ?? '', [local, registryExport])).asked).toEqual([
      'registry.test/cache:main',
      'registry.test/cache:main',
    ]);
    // Of a name that this build does not write it is not said that it was lost.
    expect(await raced(OLD ?? '', THEIRS ?? '', [local])).toEqual({ lost: false, asked: [] });
  });
});
