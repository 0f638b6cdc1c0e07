import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameReader } from '../../src/sandbox/step-frames.ts';

const frame = (kind: string, data: Uint8Array): Buffer => {
  const header = Buffer.alloc(5);
  header.write(kind, 'latin1');
  header.writeUInt32LE(data.length, 1);
  return Buffer.concat([header, data]);
};

test('frames come whole and in order, however the stream is cut', () => {
  const frames = fc.array(fc.tuple(fc.constantFrom('o', 'e', 's', 'x'), fc.uint8Array({ maxLength: 40 })));
  fc.assert(
    fc.property(frames, fc.array(fc.nat({ max: 200 })), (sent, cuts) => {
      const stream = Buffer.concat(sent.map(([kind, data]) => frame(kind, data)));
      const got: [string, string][] = [];
      const reader = new FrameReader((kind, data) => got.push([kind, data.toString('hex')]));
      const places = [...new Set(cuts.filter((cut) => cut < stream.length))].toSorted((a, b) => a - b);
      for (const [index, place] of [0, ...places].entries()) reader.push(stream.subarray(place, places[index]));
      expect(got).toEqual(sent.map(([kind, data]) => [kind, Buffer.from(data).toString('hex')]));
    }),
  );
});
