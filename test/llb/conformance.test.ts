import { expect, describe, test } from 'vitest';
import { decodeOp, encodeOp, opFromJson, opToJson } from '../../src/llb/index.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';
import { hasCorpus, recordedGraphs } from '../support/conformance-cases.ts';

describe.skipIf(!hasCorpus)('ops that BuildKit made', () => {
  test('marshal to the same digests and come back unchanged', () => {
    let compared = 0;
    const wrong: string[] = [];
    for (const [name, ops] of recordedGraphs()) {
      const digests: Digest[] = [];
      const known: boolean[] = [];
      for (const [index, recorded] of ops.entries()) {
        const refs = (recorded.op['inputs'] ?? []) as [number, number][];
        const inputs = refs.map(([at, output]) => ({ digest: digests[at], index: String(output) }));
        const op = opFromJson({ ...recorded.op, inputs });
        const digest = sha256(encodeOp(op));
        digests.push(digest);
        known.push(recorded.digest !== undefined && refs.every(([at]) => known[at] === true));
        expect(decodeOp(encodeOp(op))).toEqual(op);
        const { inputs: _, ...json } = recorded.op;
        expect(opToJson({ ...op, inputs: [] })).toEqual(json);
        if (known[index]) {
          compared++;
          if (recorded.digest !== digest) wrong.push(`${name}[${index}]`);
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(compared).toBeGreaterThan(1000);
  });
});
