import type { StepOutcome } from '../../events/index.ts';
import {
  fingerprint,
  kindOf,
  type Lineage,
  type Account,
  type Part,
  partsOf,
  type RawPart,
  type Step,
} from '../../explain/index.ts';
import type { LlbVertex } from '../../llb/index.ts';
import type { SolvedVertex } from '../compile/solve.ts';
import type { Notes } from '../notes.ts';
import { hiddenForms, Mask } from '../../secrets/index.ts';
import { type Digest, sha256 } from '../../util/index.ts';
import type { BuildRequest } from '../request.ts';

/** Variables whose values are not shown: more than what the linter calls a secret, since nothing is lost by it. */
const SECRET_NAME = /pass|pwd|pword|secret|token|auth|cred|key|private|cookie|session|signature/i;
/** Nodes that a step is known by, and characters of a value that are kept. */
const MAX_NODES = 4;
const MAX_SHOWN = 80;
/** Parts of all steps together that are told one by one: every RUN sees every variable before it. */
const MAX_PARTS = 20_000;

/** What an account is made of. */
export interface AccountSources {
  readonly request: BuildRequest;
  readonly lineage: Lineage;
  readonly startedAt: number;
  readonly failed: boolean;
  readonly vertices: readonly LlbVertex[];
  readonly solved: (vertex: LlbVertex) => SolvedVertex | undefined;
  readonly notes: Notes;
  /** How long steps ran, in ms. */
  readonly durations: ReadonlyMap<Digest, number>;
  /** Of the store; undefined for what other machines are told. */
  readonly salt: string | undefined;
  readonly mask: Mask | undefined;
}

/** What a build says of itself, with the values of secrets left out. */
export function accountOf(sources: AccountSources): Account {
  const { vertices, lineage, startedAt, failed } = sources;
  const stepOf = stepMaker(sources);
  const steps = vertices.map(stepOf);
  return { lineage, at: startedAt, failed, prints: fingerprint(steps), steps };
}

/** Makes the steps of an account one by one, while the build goes on. */
export function stepMaker(sources: AccountSources): (vertex: LlbVertex) => Step {
  const positions = new Map(sources.vertices.map(({ digest }, at) => [digest, at]));
  const values = new Values(sources);
  return (vertex) => stepOf(sources, vertex, positions, values);
}

function stepOf(
  { solved, notes, durations }: AccountSources,
  vertex: LlbVertex,
  positions: ReadonlyMap<Digest, number>,
  values: Values,
): Step {
  const { digest, name, ranges, ignoreCache } = vertex;
  const of = solved(vertex);
  const outcome = outcomeOf(of?.state ?? 'pending');
  const nodes = (of?.nodes ?? []).slice(0, MAX_NODES);
  // Instructions that came to the same op are the first of them.
  const range = ranges.toSorted((a, b) => a.startLine - b.startLine)[0];
  const ms = durations.get(digest);
  const { from } = of ?? {};
  const source = notes.sourceOf(digest);
  const parts = [
    ...partsOf(vertex),
    ...(source === undefined ? [] : [{ ...source, text: shortDigests(source.value) }]),
  ];
  return {
    vertex: digest,
    name: values.text(name, 400),
    kind: kindOf(vertex),
    ...(range === undefined ? {} : { place: `${range.file}:${range.startLine}` }),
    outcome,
    ...(ms === undefined ? {} : { ms }),
    ...(ignoreCache ? { isForced: true } : {}),
    ...(from === undefined || from === 'local' ? {} : { from }),
    asked: outcome === 'ran' || outcome === 'failed' ? (of?.asked ?? []) : [],
    nodes,
    parts: values.parts(parts),
    inputs: vertex.inputs.map(({ vertex: input }, at) => {
      const content = of?.contents[at] ?? notes.contentOf(digest, at);
      const listing = notes.listingOf(digest, at);
      return {
        step: positions.get(input.digest) ?? -1,
        ...(content === undefined ? {} : { content }),
        ...(listing === undefined ? {} : { listing }),
      };
    }),
  };
}

/** Commits and digests as far as people compare them. */
function shortDigests(text: string): string {
  return text.replaceAll(/\b([0-9a-f]{12})[0-9a-f]{20,}\b/g, '$1…');
}

function outcomeOf(state: SolvedVertex['state']): StepOutcome {
  switch (state) {
    case 'cached':
      return 'cached';
    case 'done':
      return 'ran';
    case 'failed':
      return 'failed';
    case 'pending':
      return 'unneeded';
    case 'started':
    case 'canceled':
      return 'stopped';
  }
}

/** Decides which values may be shown, and how the others are told apart. */
class Values {
  readonly #salt: string | undefined;
  readonly #masks: readonly Mask[];
  readonly #known = new Map<string, Part>();
  #count = 0;

  constructor({ salt, mask, request, vertices }: AccountSources) {
    this.#salt = salt;
    const variables = vertices.flatMap(({ op: { body } }) =>
      body?.kind === 'exec' ? body.meta.env.map((entry) => entry.split(/=(.*)/s)) : [],
    );
    const secret = new Set(
      [...request.buildArgs, ...variables].flatMap(([name = '', value = '']) =>
        SECRET_NAME.test(name) ? [value] : [],
      ),
    );
    // The text of an instruction may have them in it too.
    const hidden = [...secret].flatMap((value) => hiddenForms(Buffer.from(value)));
    this.#masks = [...(mask === undefined ? [] : [mask]), ...(hidden.length === 0 ? [] : [new Mask(hidden)])];
  }

  /** A text without secrets, shortened. */
  text(text: string, length = MAX_SHOWN): string {
    let shown = text;
    for (const mask of this.#masks) shown = mask.text(shown);
    const line = shown.replaceAll(/\s+/g, ' ').trim();
    return line.length <= length ? line : `${line.slice(0, length - 1)}…`;
  }

  /** The parts of a step; where there are very many in all, its variables are one. */
  parts(parts: readonly RawPart[]): readonly Part[] {
    this.#count += parts.length;
    if (this.#count <= MAX_PARTS) return parts.map((part) => this.#part(part));
    const variables = parts.filter(({ what }) => what === 'variable');
    const all: RawPart = { what: 'option', name: 'variables', value: JSON.stringify(variables), text: '' };
    return [...parts.filter(({ what }) => what !== 'variable'), all].map((part) => this.#part(part));
  }

  /** Most variables are those of the step before. */
  #part(part: RawPart): Part {
    const key = `${part.what}\0${part.name}\0${part.value}`;
    const known = this.#known.get(key) ?? this.#newPart(part, key);
    this.#known.set(key, known);
    return known;
  }

  #newPart({ what, name, value, text }: RawPart, key: string): Part {
    const id = sha256(`${this.#salt ?? ''}\0${key}`).slice(7, 23);
    const isSecret = what === 'variable' && SECRET_NAME.test(name);
    const shown = this.text(text ?? value);
    // Without a salt a digest is as good as the value to who tries out what it may be.
    if (this.#salt === undefined && (isSecret || this.#isHidden(value))) return { what, name, id: '' };
    return text === '' || isSecret ? { what, name, id } : { what, name, id, shown };
  }

  #isHidden(text: string): boolean {
    return this.#masks.some((mask) => mask.text(text) !== text);
  }
}
