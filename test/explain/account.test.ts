import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  carryOver,
  decodeAccount,
  encodeAccount,
  explain,
  explanationFacts,
  fingerprint,
  lineageKey,
  nearest,
  renderExplanation,
  type Step,
} from '../../src/explain/index.ts';
import { account, step } from './steps.ts';

const word = fc.constantFrom('make', 'test', 'apt-get install', 'x', 'y', 'café', '\u001b[2J');
const steps = fc
  .array(
    fc.record({
      text: word,
      kind: fc.constantFrom<Step['kind']>('run', 'files', 'image', 'local', 'other'),
      outcome: fc.constantFrom<Step['outcome']>('ran', 'cached', 'failed', 'stopped', 'unneeded'),
      stage: fc.constantFrom('', 'build '),
    }),
    { maxLength: 10 },
  )
  .map((all) =>
    all.map(({ text, kind, outcome, stage }, at) =>
      step({ name: `[${stage}${at + 1}/${all.length}] ${kind === 'run' ? 'RUN' : 'COPY'} ${text}`, kind, outcome, inputs: at === 0 ? [] : [{ step: at - 1 }] }),
    ),
  ); // oxfmt-ignore

describe('an account that is written down', () => {
  test('is read as it was, and what was forgotten leaves a gap (property)', () => {
    fc.assert(
      fc.property(steps, fc.array(fc.nat(12), { maxLength: 4 }), (all, forgotten) => {
        const explained = explain(account(all), undefined);
        const { head, steps: texts } = encodeAccount(explained);
        const known = new Map([...texts.entries()].filter(([at]) => !forgotten.includes(at)));
        const read = decodeAccount(head, known);
        expect(read?.isWhole).toBe(known.size === all.length);
        expect(read?.explanation.steps).toHaveLength(all.length);
        for (const [at, one] of (read?.explanation.steps ?? []).entries())
          if (known.has(at)) expect(one).toEqual(explained.steps[at]);
          else expect([one.name, one.outcome, one.inputs]).toEqual(['', 'unneeded', []]);
        // What nobody knows is not told about either.
        if (read === undefined) throw new Error('It is not read');
        expect(explanationFacts(read.explanation).steps.length).toBeLessThanOrEqual(known.size);
        expect(renderExplanation(read.explanation, { age: () => 'now' })).not.toContain('undefined');
      }),
    );
  });

  test.each(['', '{', 'null', '[]', '5', '{"version":2,"count":0}', '{"version":1}', '{"version":1,"count":"3"}', '{"version":1,"count":1.5}'])(
    '%j is none',
    (head) => expect(decodeAccount(head, new Map())).toBeUndefined(),
  ); // oxfmt-ignore

  test('with a step that is damaged is none', () => {
    const { head } = encodeAccount(explain(account([step()]), undefined));
    expect(decodeAccount(head, new Map([[0, '{"name":']]))).toBeUndefined();
  });
});

describe('what an earlier build knew', () => {
  test('is carried over, and nothing of what is known now is lost (property)', () => {
    fc.assert(
      fc.property(steps, steps, (before, now) => {
        const { steps: carried } = carryOver(account(now), account(before));
        expect(carried).toHaveLength(now.length);
        for (const [at, one] of carried.entries()) {
          const own = now[at];
          expect([one.name, one.kind, one.outcome]).toEqual([own?.name, own?.kind, own?.outcome]);
          // Positions are those of this account.
          expect(one.inputs.map((input) => input.step)).toEqual(own?.inputs.map((input) => input.step));
          if (own?.outcome === 'ran') expect(one).toEqual(own);
        }
      }),
    );
  });

  test('of nothing is nothing', () => {
    const own = account([step(), step({ name: 'RUN y', outcome: 'stopped' })]);
    expect(carryOver(own, account([]))).toEqual(own);
  });
});

describe('which build is the nearest', () => {
  const lineage = {
    context: '/c',
    dockerfile: '/c/Dockerfile',
    target: '',
    platforms: ['linux/amd64'],
  };

  test('is told by all of what was built', () => {
    const others = [
      { ...lineage, context: '/d' },
      { ...lineage, dockerfile: '/c/other' },
      { ...lineage, target: 'x' },
      { ...lineage, platforms: [] },
      { ...lineage, platforms: ['linux/arm64'] },
      // Parts that run into each other are others, too.
      { ...lineage, context: '/c/c', dockerfile: '/Dockerfile' },
    ];
    const keys = [lineage, ...others].map(lineageKey);
    expect(new Set(keys).size).toBe(keys.length);
    expect(lineageKey({ ...lineage })).toBe(keys[0]);
    for (const key of keys) expect(key).toMatch(/^[0-9a-f]{32}$/);
  });

  test('in another directory it has three quarters of the steps in common (property)', () => {
    const prints = fc.uniqueArray(fc.nat(30).map(String), { maxLength: 12 });
    fc.assert(
      fc.property(prints, prints, (own, other) => {
        const found = nearest({ lineage, prints: own }, [{ lineage: { ...lineage, context: '/elsewhere' }, prints: other }]);
        const common = own.filter((one) => other.includes(one)).length;
        expect(found !== undefined).toBe(common > 0 && common >= 0.75 * Math.max(own.length, other.length));
      }),
    );
  }); // oxfmt-ignore

  test('prints do not tell where a step stands, nor of directories of the machine', () => {
    const one = fingerprint([step({ name: '[1/2] RUN make' }), step({ name: '[2/2] RUN make' }), step({ name: 'x', kind: 'local' })]);
    expect(one).toEqual(fingerprint([step({ name: '[build 7/9] RUN make' })]));
    expect(one).toHaveLength(1);
    expect(fingerprint([])).toEqual([]);
  }); // oxfmt-ignore
});
