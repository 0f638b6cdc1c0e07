import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { layerObject, recordTag, scopeId, stepName, stepNames } from '../../../src/remote-cache/steps/names.ts';
import { sha256 } from '../../../src/util/index.ts';

const op = sha256('op');
const from = (name: string, selector?: string) => ({
  from: name,
  ...(selector === undefined ? {} : { selector: sha256(selector) }),
});

describe('the name of a step', () => {
  test('is 64 hexadecimal digits, and the same for the same', () => {
    expect(stepName(op, 0, [from('a')])).toMatch(/^[0-9a-f]{64}$/);
    expect(stepName(op, 0, [from('a', 's')])).toBe(stepName(op, 0, [from('a', 's')]));
  });

  test('is another one when anything that the step is made from is another', () => {
    const names = [
      stepName(op, 0, []),
      stepName(op, 0, [from('')]),
      stepName(op, 0, [from('a')]),
      stepName(op, 1, [from('a')]),
      stepName(sha256('other'), 0, [from('a')]),
      stepName(op, 0, [from('b')]),
      stepName(op, 0, [from('a', 's')]),
      stepName(op, 0, [from('a', 't')]),
      stepName(op, 0, [from('a'), from('b')]),
      stepName(op, 0, [from('b'), from('a')]),
      stepName(op, 0, [from('a b')]),
      stepName(op, 0, [from('a","b')]),
    ];
    expect(new Set(names).size).toBe(names.length);
  });

  test('of inputs that are known in several ways is one for each combination, the first of the first ways', () => {
    const names = stepNames(op, 0, [[from('a'), from('A')], [from('b')], [from('c'), from('C')]]);
    const combinations = [['a', 'b', 'c'], ['a', 'b', 'C'], ['A', 'b', 'c'], ['A', 'b', 'C']]; // prettier-ignore
    expect(names).toEqual(
      combinations.map((all) =>
        stepName(
          op,
          0,
          all.map((one) => from(one)),
        ),
      ),
    );
    expect(stepNames(op, 0, [])).toEqual([stepName(op, 0, [])]);
  });

  test('is one of sixteen at most, however many ways there are (property)', () => {
    const ways = fc.uniqueArray(fc.string({ maxLength: 3 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.array(ways, { minLength: 1, maxLength: 8 }), (inputs) => {
        const names = stepNames(op, 0, inputs.map((all) => all.map((one) => from(one)))); // prettier-ignore
        const count = inputs.reduce((product, all) => product * all.length, 1);
        expect(names).toHaveLength(Math.min(16, count));
        expect(new Set(names).size).toBe(names.length);
        expect(names[0]).toBe(stepName(op, 0, inputs.map(([first = '']) => from(first)))); // prettier-ignore
      }),
    );
  });
});

describe('a scope', () => {
  test.each([
    ['main', /^main-[0-9a-f]{16}$/],
    ['feature/Äpfel & Birnen', /^feature-pfel-birnen-[0-9a-f]{16}$/],
    ['', /^scope-[0-9a-f]{16}$/],
    ['///', /^scope-[0-9a-f]{16}$/],
    ['__proto__', /^proto__-[0-9a-f]{16}$/],
    ['../../etc', /^etc-[0-9a-f]{16}$/],
    ['x'.repeat(300), /^x{40}-[0-9a-f]{16}$/],
  ])('%j is readable where it can be', (scope, expected) => expect(scopeId(scope)).toMatch(expected));

  test('that reads like another is another', () => {
    const scopes = ['main', 'Main', 'main ', ' main', 'ma/in', 'ma-in', 'ma in', `${'x'.repeat(40)}a`, `${'x'.repeat(40)}b`, '', '-']; // prettier-ignore
    expect(new Set(scopes.map(scopeId)).size).toBe(scopes.length);
  });

  test('can be part of a tag (distribution-spec) and of a name of an object (property)', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 100 }), (scope) => {
        expect(scopeId(scope)).toMatch(/^[a-z0-9][a-z0-9_-]{0,60}$/);
        expect(recordTag(scope, 'a')).toMatch(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/);
      }),
    );
  });

  test('and a name make a tag that no other two make', () => {
    const tags = [recordTag('a', 'b'), recordTag('ab', ''), recordTag('', 'ab'), recordTag('a","b', ''), recordTag('b', 'a')]; // prettier-ignore
    expect(new Set(tags).size).toBe(tags.length);
  });
});

test('a layer is among the blobs, as in an OCI layout', () => {
  expect(layerObject(op)).toBe(`blobs/sha256/${op.slice(7)}`);
});
