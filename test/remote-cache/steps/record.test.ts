import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mediaTypes } from '../../../src/image/index.ts';
import {
  decodeRecord,
  encodeRecord,
  isSignedBy,
  openEnvelope,
  seal,
  type StepRecord,
} from '../../../src/remote-cache/index.ts';
import { stepName, stepNames } from '../../../src/remote-cache/steps/names.ts';
import { decodeIndex, encodeIndex, MAX_INDEX_BYTES } from '../../../src/remote-cache/steps/scope-index.ts';
import { isTsbuildError, sha256 } from '../../../src/util/index.ts';

const hex = fc.nat().map((seed) => sha256(String(seed)).slice('sha256:'.length));
const digest = fc.nat().map((seed) => sha256(`d${seed}`));
const time = fc.nat(2e9).map((seconds) => seconds * 1000);
const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });

const layer = fc.record({
  descriptor: fc.record({ mediaType: fc.constantFrom(mediaTypes.ociLayer, mediaTypes.ociLayerGzip), digest, size: fc.nat() }),
  diffId: digest,
  createdAt: time,
  description: fc.string({ maxLength: 400 }),
  fromImage: fc.boolean(),
}); // oxfmt-ignore
const link = fc
  .record({ op: digest, output: fc.nat(9), input: fc.nat(9), from: hex, selector: optional(digest) })
  .map(withoutAbsent);
const record: fc.Arbitrary<StepRecord> = fc
  .record({
    scope: fc.stringMatching(/^[!-~]{1,20}$/),
    name: hex,
    node: hex,
    createdAt: time,
    writtenAt: time,
    author: fc.record({ who: optional(fc.string({ maxLength: 50 })), commit: optional(fc.string({ maxLength: 50 })) }).map(withoutAbsent),
    links: fc.array(link, { maxLength: 5 }),
    layers: optional(fc.array(layer, { maxLength: 4 })),
    summary: optional(fc.uint8Array({ maxLength: 100 })),
  })
  .map(withoutAbsent); // oxfmt-ignore

type WithoutAbsent<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
};

function withoutAbsent<T extends object>(value: T): WithoutAbsent<T> {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as WithoutAbsent<T>;
}

describe('the record of a step', () => {
  test('is read as it was written', () => {
    fc.assert(
      fc.property(record, (written) => {
        const { payload } = openEnvelope(seal(encodeRecord(written), undefined), 'test');
        const { summary, ...rest } = decodeRecord(payload, written, 'test');
        expect({ ...rest, ...(summary && { summary: new Uint8Array(summary) }) }).toEqual(written);
      }),
      { numRuns: 100 },
    );
  });

  test('is refused, and nothing worse, whatever is in its place', () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue().map((json) => JSON.stringify(json)), fc.string()), (text) => {
        try {
          decodeRecord(Buffer.from(text), { scope: 's', name: 'n' }, 'test');
          throw new Error('It was taken');
        } catch (error) {
          expect(isTsbuildError(error, 'TSB_IMAGE')).toBe(true);
        }
      }),
    );
  }); // oxfmt-ignore

  test('that is too large is not written', () => {
    const one = fc.sample(record, { numRuns: 1, seed: 1 })[0]!;
    const many = fc.sample(layer, { numRuns: 501, seed: 1 });
    expect(() => encodeRecord({ ...one, layers: many })).toThrow(/larger than readers take/);
    expect(() => encodeRecord({ ...one, summary: Buffer.alloc(600_000) })).toThrow(/larger than readers take/);
  });

  test('is signed as what it is: another type or length of the same bytes has another signature', () => {
    const signed: Uint8Array[] = [];
    const sign = (bytes: Uint8Array): Buffer => (signed.push(bytes), Buffer.alloc(64, 1));
    const key = { id: 'k', sign, verify: () => true };
    const envelope = openEnvelope(seal(Buffer.from('abc'), key), 'test');
    expect(Buffer.from(signed[0]!).toString()).toBe('DSSEv1 36 application/vnd.tsbuild.step.v1+json 3 abc');
    const verify = (bytes: Uint8Array): boolean => Buffer.compare(bytes, signed[0]!) === 0;
    expect(isSignedBy(envelope, [{ id: 'other', verify }])).toBe(true);
    expect(isSignedBy(envelope, [])).toBe(false);
    expect(isSignedBy({ ...envelope, signatures: [] }, [{ id: 'k', verify }])).toBe(false);
  });
});

describe('the name of a step', () => {
  test('tells ops, outputs, inputs and what is read of them apart', () => {
    const input = fc.record({ from: hex, selector: optional(digest) }).map(withoutAbsent);
    const step = fc.tuple(digest, fc.nat(3), fc.array(input, { maxLength: 3 }));
    fc.assert(
      fc.property(step, step, (a, b) => {
        expect(stepName(...a) === stepName(...b)).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
    );
  });

  test('is one for each combination of what the inputs are known by, of the first ones first, and not for endlessly many', () => {
    const ways = (name: string, count: number) => Array.from({ length: count }, (_, at) => ({ from: `${name}${at}` }));
    const op = sha256('op');
    const names = stepNames(op, 0, [ways('a', 2), ways('b', 2)]);
    expect(names[0]).toBe(stepName(op, 0, [{ from: 'a0' }, { from: 'b0' }]));
    expect(new Set(names).size).toBe(4);
    expect(
      stepNames(
        op,
        0,
        Array.from({ length: 12 }, () => ways('a', 5)),
      ),
    ).toHaveLength(16);
  });
});

describe('the index of a scope', () => {
  test('has the newest records when it cannot have all', () => {
    const envelope = (at: number): Buffer => Buffer.from(Array.from({ length: 400 }, (_, part) => sha256(`${at} ${part}`)).join('')); // oxfmt-ignore
    const entries = Array.from({ length: 200 }, (_, at) => ({ name: `n${at}`, touchedAt: at, envelope: envelope(at) }));
    const bytes = encodeIndex('main', entries);
    expect(bytes.length).toBeLessThanOrEqual(MAX_INDEX_BYTES);
    const read = decodeIndex(bytes, 'main', 'test');
    expect(read.size).toBeGreaterThan(20);
    expect(read.size).toBeLessThan(200);
    expect(read.get('n199')).toEqual(entries[199]);
    expect(() => decodeIndex(bytes, 'other', 'test')).toThrow(/another/);
  });
});
