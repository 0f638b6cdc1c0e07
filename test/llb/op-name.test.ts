import { expect, test } from 'vitest';
import { defaultName } from '../../src/llb/op-name.ts';
import type { Op } from '../../src/llb/index.ts';

const op = (body: unknown): Op => ({ inputs: [], body }) as unknown as Op;

test.each<[string, Op, readonly string[]]>([
  ['docker-image://alpine', op({ kind: 'source', identifier: 'docker-image://alpine' }), []],
  ['sh -c echo a', op({ kind: 'exec', meta: { args: ['sh', '-c', 'echo a'] } }), []],
  [
    'copy /a /b, mkfile /c, mkdir /d, rm /e, symlink /new -> /old',
    op({
      kind: 'file',
      actions: [
        { kind: 'copy', src: '/a', dest: '/b' },
        { kind: 'mkfile', path: '/c' },
        { kind: 'mkdir', path: '/d' },
        { kind: 'rm', path: '/e' },
        { kind: 'symlink', oldPath: '/old', newPath: '/new' },
      ],
    }),
    [],
  ],
  ['merge (one, two)', op({ kind: 'merge' }), ['one', 'two']],
  ['diff (one) -> (two)', op({ kind: 'diff', lower: { input: 0 }, upper: { input: 1 } }), ['one', 'two']],
  ['diff scratch -> (one)', op({ kind: 'diff', lower: { input: -1 }, upper: { input: 0 } }), ['one']],
  ['diff scratch -> scratch', op({ kind: 'diff' }), []],
  ['build', op({ kind: 'build' }), []],
  ['passthrough x', op({ kind: 'passthrough', id: 'x' }), []],
  ['result', op(undefined), []],
])('a vertex without a name is called %j', (name, made, inputs) => {
  expect(defaultName(made, inputs)).toBe(name);
});

test('names that are made of names do not grow without end', () => {
  let name = 'a step with a name of its own';
  for (let depth = 0; depth < 64; depth++) name = defaultName(op({ kind: 'merge' }), [name, name]);
  expect(name).toHaveLength(1000);
  expect(name.startsWith('merge (merge (')).toBe(true);
});
