import { gunzipSync, gzipSync } from 'node:zlib';
import type { ListedDirectory } from '../tree/index.ts';
import { isDigest, sha256 } from '../util/index.ts';
import type { Account, Lineage, Part, Step, StepKind } from './account.ts';
import type { LoadListing } from './compare-listings.ts';

/** Bytes of a summary: many of them share one index, which must stay quick to fetch. It is some 1,000 files. */
const MAX_BYTES = 16 * 1024;
/** Bytes of its text, and how much of what there is in it. */
const MAX_TEXT = 512 * 1024;
const MAX_PARTS = 200;
const MAX_INPUTS = 100;
const VERSION = 1;

/** What a cache of other machines says of a step besides its result. */
export interface StepSummary {
  /** Without the context, which is a directory of one machine. */
  readonly lineage: Omit<Lineage, 'context'>;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly step: Pick<Step, 'name' | 'kind' | 'parts'>;
  /** What it read, by the names of the steps that made it. */
  readonly inputs: readonly { readonly name: string; readonly content?: string; readonly listing?: string }[];
  readonly listings: ReadonlyMap<string, ListedDirectory>;
}

/**
 * The summary of a step. Of its lists there is as much as finds room, from the top.
 * @param at when the build began, in milliseconds since the epoch
 * @param names of the steps that made its inputs
 */
export function summarize(
  { context: _context, ...lineage }: Lineage,
  at: number,
  step: Step,
  names: readonly string[],
  load: LoadListing,
): Uint8Array | undefined {
  const { name, kind, parts } = step;
  const inputs = step.inputs.map(({ content, listing }, input) => ({
    name: names[input] ?? '',
    ...(content === undefined ? {} : { content }),
    ...(listing === undefined ? {} : { listing }),
  }));
  const body = { version: VERSION, lineage, at, step: { name, kind, parts }, inputs };
  const all = breadthFirst(
    inputs.flatMap(({ listing }) => (listing === undefined ? [] : [listing])),
    load,
  );
  for (let count = all.length; ; count = Math.floor(count / 2)) {
    const bytes = gzipSync(JSON.stringify({ ...body, listings: all.slice(0, count).map(({ text }) => text) }));
    if (bytes.length <= MAX_BYTES) return bytes;
    if (count === 0) return undefined;
  }
}

/** Lists, those near the root first, as far as they may find room at all. */
function breadthFirst(roots: readonly string[], load: LoadListing): readonly ListedDirectory[] {
  const found: ListedDirectory[] = [];
  const seen = new Set<string>();
  let bytes = 0;
  const waiting = [...roots];
  for (let at = 0; at < waiting.length && bytes < MAX_TEXT / 4; at++) {
    const id = waiting[at] ?? '';
    const directory = seen.has(id) ? undefined : load(id);
    seen.add(id);
    if (directory === undefined || bytes + directory.text.length > MAX_TEXT / 4) continue;
    bytes += directory.text.length;
    found.push(directory);
    waiting.push(...directory.children);
  }
  return found;
}

/** Reads a summary, which anybody may have written; undefined for what is none. */
export function readSummary(bytes: Uint8Array): StepSummary | undefined {
  try {
    if (bytes.length > MAX_BYTES) return undefined;
    const value = JSON.parse(gunzipSync(bytes, { maxOutputLength: MAX_TEXT }).toString()) as Record<string, unknown>;
    if (value['version'] !== VERSION) return undefined;
    const lineage = object(value['lineage']);
    const step = object(value['step']);
    return {
      lineage: {
        dockerfile: text(lineage['dockerfile']),
        target: text(lineage['target']),
        platforms: list(lineage['platforms'], 100).map(text),
      },
      at: time(value['at']),
      step: { name: text(step['name']), kind: kindOf(step['kind']), parts: list(step['parts'], MAX_PARTS).map(partOf) },
      inputs: list(value['inputs'], MAX_INPUTS).map(inputOf),
      listings: new Map(list(value['listings'], 10_000).map((one) => directoryOf(text(one, MAX_TEXT)))),
    };
  } catch {
    return undefined;
  }
}

const KINDS: readonly StepKind[] = ['image', 'local', 'http', 'git', 'run', 'files', 'other'];
const WHATS: readonly Part['what'][] = ['file', 'variable', 'base', 'command', 'option', 'source', 'device'];

function kindOf(value: unknown): StepKind {
  return oneOf(KINDS, value);
}

function partOf(value: unknown): Part {
  const { what, name, id, shown } = object(value);
  return {
    what: oneOf(WHATS, what),
    name: text(name),
    id: text(id),
    ...(shown === undefined ? {} : { shown: text(shown) }),
  };
}

function inputOf(value: unknown): StepSummary['inputs'][number] {
  const { name, content, listing } = object(value);
  if (content !== undefined && !isDigest(text(content))) throw new TypeError('Not a digest');
  return {
    name: text(name),
    ...(content === undefined ? {} : { content: text(content) }),
    ...(listing === undefined ? {} : { listing: text(listing) }),
  };
}

/** A list goes by what it says, whoever sent it. */
function directoryOf(value: string): readonly [string, ListedDirectory] {
  list(JSON.parse(value), MAX_TEXT).forEach((line) => text(line, MAX_TEXT));
  return [sha256(value).slice(7, 39), { text: value, children: [] }];
}

function object(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('Not an object');
  return value as Record<string, unknown>;
}

function list(value: unknown, most: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > most) throw new TypeError('Not a list');
  return value;
}

function text(value: unknown, most = 1000): string {
  if (typeof value !== 'string' || value.length > most) throw new TypeError('Not a text');
  return value;
}

function time(value: unknown): number {
  if (typeof value !== 'number' || !(value >= 0 && value <= 8.64e15)) throw new TypeError('Not a time');
  return value;
}

function oneOf<T extends string>(all: readonly T[], value: unknown): T {
  const found = all.find((one) => one === value);
  if (found === undefined) throw new TypeError('Not one of those');
  return found;
}

/**
 * An account put together of what a cache says of single steps: of each step of these builds the newest. Undefined where there is none of the
 * same Dockerfile's name, target and platforms.
 */
export function accountOfSummaries(
  summaries: readonly StepSummary[],
  own: Lineage,
  cache: string,
): { readonly account: Account; readonly load: LoadListing } | undefined {
  const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
  const like = summaries
    .filter(
      ({ lineage }) =>
        baseName(lineage.dockerfile) === baseName(own.dockerfile) &&
        lineage.target === own.target &&
        lineage.platforms.join() === own.platforms.join(),
    )
    .toSorted((a, b) => b.at - a.at);
  const [newest] = like;
  if (newest === undefined) return undefined;
  const byName = new Map<string, StepSummary>();
  for (const summary of like) if (!byName.has(placeOf(summary))) byName.set(placeOf(summary), summary);
  const chosen = [...byName.values()].sort((a, b) => numberOf(a.step.name) - numberOf(b.step.name));
  const positions = new Map(chosen.map(({ step }, at) => [step.name, at]));
  const steps = chosen.map(({ step, inputs }): Step => ({
    ...step,
    vertex: 'sha256:',
    outcome: 'ran',
    asked: [],
    nodes: [],
    inputs: inputs.map(({ name, content, listing }) => ({
      step: positions.get(name) ?? -1,
      ...(content === undefined || !isDigest(content) ? {} : { content }),
      ...(listing === undefined ? {} : { listing }),
    })),
  }));
  const listings = new Map(chosen.flatMap(({ listings }) => [...listings]));
  const lineage = { ...own, context: `cache ${cache}` };
  return { account: { lineage, at: newest.at, failed: false, prints: [], steps }, load: (id) => listings.get(id) };
}

/** Stage, number and instruction: a step whose text was changed takes the place of its older self. */
function placeOf({ step: { name } }: StepSummary): string {
  return /^\[[^\]]*\] \S+/.exec(name)?.[0] ?? name;
}

function numberOf(name: string): number {
  return Number(/^\[[^\]]*?(\d+)\/\d+\]/.exec(name)?.[1] ?? 0);
}
