import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { expect, describe, test } from 'vitest';
import { decodeOp, encodeOp, opFromJson, opToJson } from '../../src/llb/index.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';

const FILE = new URL('../../../shared/conformance/llb.jsonl.gz', import.meta.url);

interface RecordedOp {
  readonly op: Record<string, unknown>;
  readonly digest?: Digest;
}

describe.skipIf(!existsSync(FILE))('ops that BuildKit made', () => {
  test('marshal to the same digests and come back unchanged', () => {
    const cases = gunzipSync(readFileSync(FILE)).toString().trim().split('\n');
    let compared = 0;
    const wrong: string[] = [];
    for (const line of cases) {
      const { case: name, ops } = JSON.parse(line) as { case: string; ops: RecordedOp[] };
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
