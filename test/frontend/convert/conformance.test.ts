import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { CompileOptions, CompileResult } from '../../../src/frontend/index.ts';
import { type LlbVertex, opToJson } from '../../../src/llb/index.ts';
import type { Digest } from '../../../src/util/index.ts';
import type { ImageConfig } from '../../../src/image/index.ts';
import { type Case, hasCorpus, type RecordedOp, recordedGraphs } from '../../support/conformance-cases.ts';
import { Corpus } from './corpus.ts';

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

/**
 * The graphs were recorded on linux/amd64 whatever `--platform` a case asks for; several platforms show in the names only.
 */
function asRecorded(options: CompileOptions): CompileOptions {
  if (options.platforms.length === 0) return options;
  return { ...options, platforms: [options.buildPlatform], multiPlatform: options.platforms.length > 1 };
}

/**
 * BuildKit counts the FROM of a stage twice in its name when only an ONBUILD trigger shows that the stage is needed; here it
 * is counted once.
 */
const COUNTED_TWICE = new Set(['buildkit-OnBuildNewDeps-4']);

/** Clients hand SOURCE_DATE_EPOCH on from their environment; the graphs were recorded without one. */
function withEpoch(options: CompileOptions, one: Case): CompileOptions {
  const epoch = one.env?.['SOURCE_DATE_EPOCH'];
  if (typeof epoch !== 'string' || options.buildArgs.has('SOURCE_DATE_EPOCH')) return options;
  return { ...options, buildArgs: new Map(options.buildArgs).set('SOURCE_DATE_EPOCH', epoch) };
}

describe.skipIf(!hasCorpus)('what BuildKit made of the same Dockerfiles', () => {
  const corpus = hasCorpus ? new Corpus() : undefined;

  test('graphs are the same, op for op, digest for digest and name for name', async () => {
    const wrong: string[] = [];
    const recorded = recordedGraphs();
    for (const [id, theirs] of recorded) {
      const compiled = await corpus?.compile(corpus.case(id), imageDigests(theirs), asRecorded).catch(String);
      if (typeof compiled === 'string') wrong.push(`${id}: ${compiled}`);
      const ours = typeof compiled === 'object' ? compiled.platforms[0] : undefined;
      if (ours === undefined) continue;
      const found = difference(flatten(ours), theirs);
      if (found !== undefined && !(COUNTED_TWICE.has(id) && found.startsWith('name'))) wrong.push(`${id}: ${found}`);
    }
    expect(wrong).toEqual([]);
    expect(recorded.size).toBe(479);
  });

  test('image configs and histories are the same', async () => {
    const wrong: string[] = [];
    let compared = 0;
    for (const one of corpus?.cases ?? []) {
      const theirs = expectedImages(corpus?.root ?? '', one.id);
      if (theirs === undefined || NOT_IN_REACH.test(one.id) || one.contextKind !== undefined) continue;
      const compiled = await corpus?.compile(one, new Map(), (options) => withEpoch(options, one)).catch(String);
      if (typeof compiled === 'string') wrong.push(`${one.id}: ${compiled}`);
      if (typeof compiled !== 'object') continue;
      for (const [index, image] of theirs.entries()) {
        const ours = compiled.platforms[index]?.config;
        compared++;
        if (ours === undefined) wrong.push(`${one.id}: platform ${index} is missing`);
        else if (JSON.stringify(summary(ours)) !== JSON.stringify(expectedSummary(image))) {
          wrong.push(
            `${one.id}\n ours   ${JSON.stringify(summary(ours))}\n theirs ${JSON.stringify(expectedSummary(image))}`,
          );
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(compared).toBeGreaterThan(400);
  });

  test('warnings are the same', async () => {
    const wrong: string[] = [];
    for (const one of corpus?.cases ?? []) {
      const { expectedWarnings } = one;
      if (expectedWarnings === undefined || one.contextKind !== undefined) continue;
      const compiled = await corpus?.compile(one).catch(String);
      if (typeof compiled !== 'object') continue;
      const ours = compiled.diagnostics
        .filter((finding) => !finding.advice)
        .map((finding) => `${finding.code}: ${finding.message} (line ${finding.ranges[0]?.startLine})`);
      const theirs =
        expectedWarnings === 'none'
          ? []
          : expectedWarnings.map(({ rule, detail, line }) => `${rule}: ${detail} (line ${line})`);
      if (JSON.stringify(ours.sort()) !== JSON.stringify(theirs.sort())) {
        wrong.push(`${one.id}\n ours   ${ours.join('; ')}\n theirs ${theirs.join('; ')}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

/** Cases that build on the output directory of the case before. */
const NOT_IN_REACH = /^buildkit-NamedOCILayoutContextExport-2$/;

interface ExpectedConfig {
  readonly [key: string]: unknown;
  readonly history: readonly { readonly by: string; readonly empty: boolean }[];
}

function expectedImages(root: string, id: string): readonly ExpectedConfig[] | undefined {
  const file = join(root, 'expected', id, 'result.json');
  if (!existsSync(file)) return undefined;
  const result = JSON.parse(readFileSync(file, 'utf8')) as { images: { config: ExpectedConfig }[]; status: string };
  return result.status === 'built' ? result.images.map((image) => image.config) : undefined;
}

const KEYS = [
  'Env',
  'Cmd',
  'Entrypoint',
  'WorkingDir',
  'User',
  'Labels',
  'StopSignal',
  'Healthcheck',
  'OnBuild',
  'Shell',
];

function expectedSummary(config: ExpectedConfig): unknown {
  return sorted({
    ...Object.fromEntries(KEYS.map((key) => [key, presence(config[key])])),
    ports: config['ExposedPorts'],
    volumes: config['Volumes'],
    platform: [config['os'], config['architecture'], config['variant'], config['osversion']],
    author: config['author'],
    escaped: config['ArgsEscaped'],
    history: config.history.map(({ by, empty }) => [by, empty]),
  });
}

function summary(image: ImageConfig): unknown {
  const { config } = image;
  return sorted({
    ...Object.fromEntries(KEYS.map((key) => [key, presence(config[key])])),
    ports: Object.keys(config.ExposedPorts ?? {}).sort(),
    volumes: Object.keys(config.Volumes ?? {}).sort(),
    platform: [image.os, image.architecture, image.variant ?? '', image['os.version'] ?? ''],
    author: image.author ?? '',
    escaped: config.ArgsEscaped ?? false,
    history: image.history.map((entry) => [entry.created_by ?? '', entry.empty_layer ?? false]),
  });
}

/** Empty and absent are one. */
function presence(value: unknown): unknown {
  if (value === undefined || value === null || value === '') return null;
  return typeof value === 'object' && Object.keys(value).length === 0 ? null : value;
}
