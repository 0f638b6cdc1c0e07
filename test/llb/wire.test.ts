import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { WireWriter } from '../../src/llb/wire.ts';
import { varint } from './support.ts';

/** A tree of messages: text, or what is nested. */
type Tree = readonly (string | Tree)[];

/** The same bytes by the book: a length is known before it is written. */
function expected(tree: Tree): Buffer {
  const parts = tree.map((item) => {
    const bytes = typeof item === 'string' ? Buffer.from(item) : expected(item);
    return Buffer.concat([varint(1 * 8 + 2), varint(bytes.length), bytes]);
  });
  return Buffer.concat(parts);
}

function write(writer: WireWriter, tree: Tree): WireWriter {
  for (const item of tree) {
    writer.tag(1, 2);
    if (typeof item === 'string') writer.string(item);
    else writer.nested(() => void write(writer, item));
  }
  return writer;
}

test('nested messages of every length are whole, wherever the buffer has to grow', () => {
  for (let size = 0; size < 1300; size++) {
    for (const tree of [[['x'.repeat(size)]], ['x'.repeat(size), ['ab']], ['x'.repeat(size), [[], ['c']]]])
      expect(Buffer.from(write(new WireWriter(), tree).finish()).equals(expected(tree)), String(size)).toBe(true);
  }
});

test('any tree of messages', () => {
  const { tree } = fc.letrec<{ tree: Tree; item: string | Tree }>((tie) => ({
    tree: fc.array(tie('item'), { maxLength: 5 }),
    item: fc.oneof(
      { depthSize: 'small' },
      fc.nat(700).map((size) => 'y'.repeat(size)),
      tie('tree'),
    ),
  }));
  fc.assert(
    fc.property(fc.array(tree, { minLength: 1, maxLength: 3 }), (trees) => {
      // One writer for many messages, as marshalling has it.
      const writer = new WireWriter();
      for (const one of trees) expect(Buffer.from(write(writer, one).finish())).toEqual(expected(one));
    }),
    { numRuns: 500 },
  );
});
