import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { compileDockerfile, type CompileResult } from '../../../src/frontend/index.ts';
import { type LlbVertex, opToJson } from '../../../src/llb/index.ts';
import type { Digest, ImageConfig } from '../../../src/util/index.ts';
import { type Case, caseOptions, CorpusBridge, hasCorpus, loadCase, unpackCorpus } from './corpus.ts';

interface RecordedOp {
  readonly op: Record<string, unknown>;
  readonly name?: string;
  readonly ignoreCache?: boolean;
  readonly digest?: Digest;
}

const LLB = new URL('../../../../shared/conformance/llb.jsonl.gz', import.meta.url);

/** Cases whose answer depends on what cannot be known from the data, and why. */
const OUT_OF_REACH: Readonly<Record<string, string>> = {};

function recordedCases(): Map<string, readonly RecordedOp[]> {
  const lines = gunzipSync(readFileSync(LLB)).toString().trim().split('\n');
  return new Map(
    lines.map((line) => {
      const { case: name, ops } = JSON.parse(line) as { case: string; ops: RecordedOp[] };
      return [name, ops];
    }),
  );
}

/** Digests of images as the recorded graphs name them: `docker.io/library/alpine:latest` -> `sha256:…`. */
function imageDigests(ops: readonly RecordedOp[]): Map<string, Digest> {
  const found = new Map<string, Digest>();
  for (const { op } of ops) {
    const identifier = (op['source'] as { identifier?: string } | undefined)?.identifier ?? '';
    const match = /^docker-image:\/\/(.*)@(sha256:[0-9a-f]{64})$/.exec(identifier);
    if (match?.[1] !== undefined) found.set(match[1], match[2] as Digest);
  }
  return found;
}

/** A graph in the form of the recorded one: depth first from the result, inputs before their consumers. */
function flatten(result: CompileResult['platforms'][number]): RecordedOp[] {
  const order = new Map<LlbVertex, number>();
  const visit = (vertex: LlbVertex): void => {
    if (order.has(vertex)) return;
    for (const input of vertex.inputs) visit(input.vertex);
    order.set(vertex, order.size);
  };
  const end = result.graph.result;
  if (end === undefined) return [];
  visit(end.vertex);
  const ops: RecordedOp[] = [...order.keys()].map((vertex) => ({
    op: {
      ...(opToJson({ ...vertex.op, inputs: [] }) as Record<string, unknown>),
      inputs: vertex.inputs.map((edge) => [order.get(edge.vertex), edge.output]),
    },
    name: vertex.name,
    ignoreCache: vertex.ignoreCache,
    digest: vertex.digest,
  }));
  return [...ops, { op: { inputs: [[order.get(end.vertex), end.output]] } }];
}

function difference(ours: readonly RecordedOp[], theirs: readonly RecordedOp[]): string | undefined {
  for (const [index, wanted] of theirs.entries()) {
    const got = ours[index];
    if (got === undefined) return `op ${index} is missing`;
    const plain = (op: Record<string, unknown>): unknown => sorted({ inputs: [], ...op });
    const a = JSON.stringify(plain(got.op));
    const b = JSON.stringify(plain(wanted.op));
    if (a !== b) return `op ${index}\n  ours   ${a}\n  theirs ${b}`;
    if (wanted.name !== undefined && got.name !== wanted.name)
      return `name ${index}\n  ours   ${got.name}\n  theirs ${wanted.name}`;
    if ((wanted.ignoreCache ?? false) !== (got.ignoreCache ?? false)) return `ignoreCache ${index}`;
    if (wanted.digest !== undefined && got.digest !== undefined && got.digest !== wanted.digest)
      return `digest ${index}`;
  }
  return ours.length > theirs.length ? `${ours.length - theirs.length} ops too many` : undefined;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  );
}

describe.skipIf(!hasCorpus)('graphs that BuildKit made', () => {
  test('come out the same, op for op and name for name', { timeout: 60_000 }, async () => {
    const root = unpackCorpus();
    const recorded = recordedCases();
    const groups = new Map<string, Case[]>();
    const everyCase = readCaseIds(root);
    for (const id of everyCase) {
      const one = loadCase(root, id);
      if (one.publishAs !== undefined) groups.set(one.publishAs, [...(groups.get(one.publishAs) ?? []), one]);
    }
    const compile = async (one: Case, digests: Map<string, Digest>): Promise<CompileResult> => {
      const { options, locals } = caseOptions(one);
      const published = async (name: string, architecture: string): Promise<ImageConfig | undefined> => {
        const sources = groups.get(name)?.filter((other) => other.group === one.group && other.id !== one.id) ?? [];
        const source = sources.filter((other) => (other.seq ?? 0) < (one.seq ?? 0)).at(-1) ?? groups.get(name)?.at(-1);
        if (source === undefined || source.id === one.id) return undefined;
        const { platforms } = await compile(source, new Map());
        const config = (platforms.find((other) => other.platform.architecture === architecture) ?? platforms[0])
          ?.config;
        // It has layers, whatever they are.
        return config && { ...config, rootfs: { type: 'layers', diff_ids: [`sha256:${'0'.repeat(64)}`] } };
      };
      return compileDockerfile(new CorpusBridge(root, locals, digests, published), options);
    };
    const wrong: string[] = [];
    for (const [id, theirs] of recorded) {
      if (id in OUT_OF_REACH) continue;
      try {
        const { platforms } = await compile(loadCase(root, id), imageDigests(theirs));
        const differences = platforms.map((one) => difference(flatten(one), theirs));
        if (!differences.includes(undefined)) wrong.push(`${id}: ${differences.join('\n')}`);
      } catch (error) {
        wrong.push(`${id}: ${String(error)}`);
      }
    }
    if (process.env['SHOW']) console.log(`${wrong.length}\n${wrong.join('\n')}`);
    expect(wrong.map((line) => line.split('\n')[0])).toEqual([]);
  });
});

function readCaseIds(root: string): readonly string[] {
  return readdirSync(join(root, 'cases')).sort();
}
