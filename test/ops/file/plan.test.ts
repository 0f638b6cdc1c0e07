import { describe, expect, test } from 'vitest';
import type { FileAction, FileOp } from '../../../src/llb/index.ts';
import type { PackingPlan } from '../../../src/ops/index.ts';
import { isMuch, mayPackEarly, wayOf } from '../../../src/ops/file/plan.ts';
import { sha256 } from '../../../src/util/index.ts';
import { copy } from '../../fileop/support.ts';

const vertex = sha256('vertex');
const plan: PackingPlan = {
  form: { kind: 'gzip' },
  blobOnly: new Set([vertex]),
  withoutFiles: new Set(),
  ahead: new Set(),
  isNews: true,
};
const nobodyWantsBlobs: PackingPlan = { ...plan, blobOnly: new Set() };

function op(...actions: readonly Partial<FileAction>[]): FileOp {
  const whole = { ...copy('/', '/'), input: -1, secondaryInput: 0, output: -1 };
  return { kind: 'file', actions: actions.map((action) => ({ ...whole, ...action }) as FileAction) };
}

const ontoScratch = op({ output: 0 });
const ontoBase = op({ input: 0, secondaryInput: 1, output: 0 });

describe('the way of a file op', () => {
  test.each([
    ['of the context onto scratch', ontoScratch, ['local'], plan, 'here'],
    ['of nothing at all onto scratch', op({ kind: 'mkdir', secondaryInput: -1, output: 0 } as never), [], plan, 'here'],
    ['of the context onto a base', ontoBase, ['layers', 'local'], plan, 'worker-blob'],
    ['of another stage onto scratch', ontoScratch, ['layers'], plan, 'worker-blob'],
    ['whose files somebody reads', ontoScratch, ['local'], nobodyWantsBlobs, 'worker-directory'],
    ['with two results', op({ output: 0 }, { output: 1 }), ['local'], plan, 'worker-directory'],
    [
      'that reads what it made itself',
      op({}, { input: 1, secondaryInput: 1, output: 0 }),
      ['local'],
      plan,
      'worker-directory',
    ],
    ['upon a local directory', op({ input: 0, output: 0 }), ['local'], plan, 'worker-directory'],
  ] as const)('%s', (_, file, inputs, given, way) => {
    expect(wayOf({ file, inputs, onWindows: false }, vertex, given)).toBe(way);
  });

  test('on Windows goes through a directory, since only a diff gives its form', () => {
    const situation = { file: ontoBase, inputs: ['layers', 'local'] as const, onWindows: true };
    expect(wayOf(situation, vertex, plan)).toBe('worker-directory');
  });
});

test.each([
  ['of a build that is news', { isNews: true }, false, true],
  ['of a build that was seen', { isNews: false }, false, false],
  ['that ignores the cache', { isNews: false }, true, true],
  ['whose files somebody reads', { isNews: true, blobOnly: new Set<never>() }, false, false],
])('a vertex %s', (_, change, ignoreCache, early) => {
  expect(mayPackEarly({ digest: vertex, ignoreCache }, { ...plan, ...change })).toBe(early);
});

test('much is many files or many bytes', () => {
  expect([isMuch(499, 1000), isMuch(500, 0), isMuch(1, 8 << 20)]).toEqual([false, true, true]);
});
