import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { alignSteps } from '../../src/explain/align.ts';
import { step } from './steps.ts';
import { processorTime } from '../support/processor-time.ts';

/** Which step each of the later ones is paired with, by name. */
function pairs(before: readonly string[], now: readonly string[]): readonly (string | undefined)[] {
  const old = before.map((name) => step({ name }));
  return alignSteps(
    old,
    now.map((name) => step({ name })),
  ).map((at) => (at === undefined ? undefined : old[at]?.name));
}

describe('which step is which', () => {
  test('the same text, whatever its number', () => {
    expect(pairs(['[a 1/2] RUN x', '[a 2/2] RUN y'], ['[a 1/3] RUN new', '[a 2/3] RUN x', '[a 3/3] RUN y'])).toEqual([
      undefined,
      '[a 1/2] RUN x',
      '[a 2/2] RUN y',
    ]);
  });

  test('a changed text between two that are the same', () => {
    expect(
      pairs(['[1/3] RUN x', '[2/3] RUN old', '[3/3] RUN y'], ['[1/3] RUN x', '[2/3] RUN new', '[3/3] RUN y'])[1],
    ).toBe('[2/3] RUN old');
  });

  test('only of the same stage and instruction', () => {
    expect(pairs(['[a 1/1] RUN x'], ['[b 1/1] RUN x'])).toEqual([undefined]);
    expect(pairs(['[a 1/1] RUN x'], ['[a 1/1] COPY x y'])).toEqual([undefined]);
    expect(pairs(['[linux/arm64 a 1/1] RUN x'], ['[linux/amd64 a 1/1] RUN x'])).toEqual([undefined]);
  });

  test('a base image with another digest', () => {
    const from = (digest: string) => step({ kind: 'image', name: `[1/1] FROM base:1@sha256:${digest}` });
    expect(alignSteps([from('aa')], [from('bb')])).toEqual([0]);
  });

  const names = fc.array(
    fc.tuple(fc.constantFrom('a', 'b'), fc.constantFrom('RUN', 'COPY'), fc.constantFrom('x', 'y', 'z')),
    { maxLength: 9 },
  );
  const named = (list: readonly (readonly [string, string, string])[]): string[] =>
    list.map(([stage, word, text], at) => `[${stage} ${at + 1}/9] ${word} ${text}`);

  test('nothing is paired twice, order is kept in a stage, and a Dockerfile is paired with itself', () => {
    fc.assert(
      fc.property(names, names, (before, now) => {
        const [old, own] = [before, now].map(named) as [string[], string[]];
        const partners = alignSteps(
          old.map((name) => step({ name })),
          own.map((name) => step({ name })),
        );
        const used = partners.filter((at) => at !== undefined);
        expect(new Set(used).size).toBe(used.length);
        for (const stage of ['a', 'b']) {
          const within = partners.filter((at, index) => at !== undefined && now[index]?.[0] === stage);
          expect(within).toEqual(within.toSorted((a, b) => (a ?? 0) - (b ?? 0)));
        }
        for (const [at, partner] of partners.entries())
          if (partner !== undefined) expect(before[partner]?.slice(0, 2)).toEqual(now[at]?.slice(0, 2));
        const same = old.map((name) => step({ name }));
        expect(alignSteps(same, same)).toEqual([...same.keys()]);
      }),
    );
  });

  test('thousands of steps take no time', async () => {
    const many = Array.from({ length: 5000 }, (_, at) => step({ name: `[${at + 1}/5000] RUN ${at}` }));
    let aligned: ReturnType<typeof alignSteps> = [];
    expect(await processorTime(() => (aligned = alignSteps(many, many)))).toBeLessThan(2000);
    expect(aligned.every((partner, at) => partner === at)).toBe(true);
  });
});
