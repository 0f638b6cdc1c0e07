import type { Task } from '../../events/index.ts';
import {
  carryOver,
  decodeAccount,
  type DecodedAccount,
  type Earlier,
  encodeAccount,
  explain,
  type Explanation,
  type Lineage,
  lineageKey,
  nearest,
  accountOfSummaries,
  readSummary,
  summarize,
  type LoadListing,
  type Account,
} from '../../explain/index.ts';
import { formatPlatform } from '../../image/index.ts';
import type { LlbVertex } from '../../llb/index.ts';
import type { Mask } from '../../secrets/index.ts';
import type { Store } from '../../store/index.ts';
import type { ListedDirectory } from '../../tree/index.ts';
import { type Digest, redactUrls } from '../../util/index.ts';
import { accountOf, type AccountSources, stepMaker } from './account-of-build.ts';
import type { Notes } from '../notes.ts';
import type { BuildRequest } from '../request.ts';
import type { Session } from '../session.ts';
import type { RequestSolver } from '../compile/solve.ts';

/** Graphs of more vertices are made by programs, which know what they have changed. */
const MAX_STEPS = 3000;
/** A step has begun for good after so many ms. */
const EARLY_MS = 20;

/** A cache of other machines, which may tell of its steps. */
interface AskedCache {
  readonly id: string;
  readonly summaries?: () => Promise<readonly Uint8Array[]>;
}

/** A build that was solved, or failed on the way. */
export interface Solved {
  readonly vertices: readonly LlbVertex[];
  readonly solver: RequestSolver;
  /** The caches of other machines. */
  readonly caches: readonly AskedCache[];
  readonly failed: boolean;
}

/**
 * Takes down what a build does and reads, compares it with the nearest earlier build, and leaves it for the next one and for `tsbuild
 * explain`. Whatever goes wrong here is no matter of the build's.
 */
export class Explainer {
  readonly #session: Session;
  readonly #request: BuildRequest;
  readonly #mask: Mask | undefined;
  readonly #startedAt: number;
  readonly #started = new Map<Digest, number>();
  readonly #durations = new Map<Digest, number>();
  #early: NodeJS.Timeout | undefined;

  constructor(session: Session, request: BuildRequest, mask: Mask | undefined) {
    this.#session = session;
    this.#request = request;
    this.#mask = mask;
    this.#startedAt = Math.floor(session.now());
  }

  /** The task, with the times of steps taken. While one runs there is time to look through what was read. */
  watch(task: Task, notes: Notes): Task {
    return {
      ...task,
      events: (event) => {
        if (event.type === 'vertex') {
          const since = this.#started.get(event.vertex);
          if (event.state === 'started') {
            this.#started.set(event.vertex, event.at);
            if (notes.isPending) this.#early ??= setTimeout(() => this.#lookEarly(notes), EARLY_MS).unref();
          } else if (since !== undefined && event.state !== 'pending') {
            this.#started.delete(event.vertex);
            this.#durations.set(event.vertex, (this.#durations.get(event.vertex) ?? 0) + Math.round(event.at - since));
          }
        }
        task.events(event);
      },
    };
  }

  /** Makes lists that would have to be made in the end. */
  #lookEarly(notes: Notes): void {
    this.#early = undefined;
    try {
      const key = lineageKey(lineageOf(this.#request));
      const { accounts } = this.#session.store;
      const last = accounts.list().find(({ lineage }) => lineage === key);
      if (last) know(notes, decodeAccount(last.value, stepTexts(this.#session.store, last.id)));
      notes.settle();
    } catch {
      // Tried again in the end.
    }
  }

  /** Compares, tells where it was asked for, and keeps it. Never fails. */
  async finish(task: Task, build: Solved): Promise<Explanation | undefined> {
    clearTimeout(this.#early);
    try {
      return await this.#finish(task, build);
    } catch {
      // Nothing is known of this build then.
      return undefined;
    }
  }

  async #finish(task: Task, { vertices, solver, caches, failed }: Solved): Promise<Explanation | undefined> {
    const { store, now } = this.#session;
    if (vertices.length > MAX_STEPS) return undefined;
    const solved = await solver.account();
    if (solved === undefined) return undefined;
    const { notes } = solver;
    const sources = { ...this.#sources(vertices, notes), failed, solved, salt: store.accounts.salt() };
    const bare = accountOf(sources);
    const known = findEarlier(store, bare);
    know(notes, known);
    notes.settle();
    const account = withListings(bare, notes);
    const explanation = known
      ? explain(account, this.#earlierOf(store, known, notes.listings))
      : await this.#explainForeign(account, { ...sources, salt: undefined }, caches);
    if (this.#request.explain)
      for (const { vertex, kind, reason } of explanation.steps)
        // Directories of the machine are no steps: what is read of them is of the step that reads.
        if (kind !== 'local') task.events({ type: 'reason', vertex, at: now(), reason });
    keep(
      store,
      known === undefined ? explanation : withReasons(carryOver(account, known.explanation), explanation),
      notes.listings,
    );
    return explanation;
  }

  /** On a machine that has not built this: compared with what its caches tell of steps. */
  async #explainForeign(
    account: Account,
    sources: AccountSources,
    caches: readonly AskedCache[],
  ): Promise<Explanation> {
    const isMissed = account.steps.some(({ outcome }) => outcome === 'ran' || outcome === 'failed');
    for (const cache of isMissed ? caches : []) {
      const summaries = (await cache.summaries?.())?.flatMap((bytes) => readSummary(bytes) ?? []) ?? [];
      const found = accountOfSummaries(summaries, account.lineage, cache.id);
      if (found === undefined) continue;
      const own = accountOf(sources);
      const load: LoadListing = (id) => this.#load(sources.notes, id) ?? found.load(id);
      const earlier = { account: found.account, load, isWhole: false, isForeign: true, had: () => true };
      const { steps, comparedWith } = explain(own, earlier);
      return withReasons(account, { ...account, steps, ...(comparedWith ? { comparedWith } : {}) });
    }
    return explain(account, undefined);
  }

  /** What other machines are told of the steps of this build, by the digests of their vertices, while it goes on. */
  summaries(vertices: readonly LlbVertex[], notes: Notes): (vertex: Digest) => Uint8Array | undefined {
    if (vertices.length > MAX_STEPS) return () => undefined;
    const byDigest = new Map(vertices.map((vertex) => [vertex.digest, vertex]));
    const sources = { ...this.#sources(vertices, notes), failed: false, solved: () => undefined, salt: undefined };
    const stepOf = stepMaker(sources);
    return (digest) => {
      const vertex = byDigest.get(digest);
      if (vertex === undefined) return undefined;
      try {
        notes.settle();
        const names = vertex.inputs
          .map((input) => byDigest.get(input.vertex.digest))
          .map((one) => (one ? stepOf(one).name : ''));
        return summarize(sources.lineage, this.#startedAt, stepOf(vertex), names, (id) => this.#load(notes, id));
      } catch {
        return undefined;
      }
    };
  }

  #sources(vertices: readonly LlbVertex[], notes: Notes): Omit<AccountSources, 'failed' | 'solved' | 'salt'> {
    return {
      request: this.#request,
      lineage: lineageOf(this.#request),
      startedAt: this.#startedAt,
      vertices,
      notes,
      durations: this.#durations,
      mask: this.#mask,
    };
  }

  #load({ listings }: Notes, id: string): ListedDirectory | undefined {
    return listings.get(id) ?? loadListing(this.#session.store, id);
  }

  #earlierOf(
    store: Store,
    { explanation, isWhole }: DecodedAccount,
    made: ReadonlyMap<string, ListedDirectory>,
  ): Earlier {
    return {
      account: explanation,
      isWhole,
      load: (id) => made.get(id) ?? loadListing(store, id),
      had: (node) => store.records.at(node).some(({ createdAt }) => createdAt < this.#startedAt),
    };
  }
}

/** What an earlier build has listed need not be listed again. */
function know(notes: Notes, earlier: DecodedAccount | undefined): void {
  for (const { inputs } of earlier?.explanation.steps ?? [])
    for (const { content, listing } of inputs)
      if (content !== undefined && listing !== undefined) notes.know(content, listing);
}

/** The account with the ids of what steps read, which are known once the lists are made. */
function withListings(account: Account, notes: Notes): Account {
  const steps = account.steps.map((step) => ({
    ...step,
    inputs: step.inputs.map((input, at) => {
      const listing = notes.listingOf(step.vertex, at);
      return listing === undefined ? input : { ...input, listing };
    }),
  }));
  return { ...account, steps };
}

function withReasons(account: Account, explanation: Explanation): Explanation {
  return {
    ...explanation,
    steps: account.steps.map((step, at) => {
      const reason = explanation.steps[at]?.reason;
      return {
        ...step,
        reason: reason ?? { outcome: step.outcome, kind: 'none', text: '', differences: [], more: 0, asked: [] },
      };
    }),
  };
}

/** What is built, for who compares builds of it. */
function lineageOf({ contextDir, context, dockerfile, definition, target = '', platforms }: BuildRequest): Lineage {
  const [directory] = [contextDir, ...(definition?.locals.values() ?? [])].filter((path) => path !== undefined);
  return {
    context: directory ?? (context?.kind === 'remote' ? redactUrls(context.url) : '-'),
    dockerfile: definition === undefined ? dockerfileName(dockerfile) : '(graph)',
    target,
    platforms: platforms.map(formatPlatform),
  };
}

function dockerfileName(dockerfile: BuildRequest['dockerfile']): string {
  if (dockerfile === undefined) return 'Dockerfile';
  if ('dir' in dockerfile) return `${dockerfile.dir}/${dockerfile.name}`;
  if ('url' in dockerfile) return redactUrls(dockerfile.url);
  return 'inContext' in dockerfile ? dockerfile.inContext : '-';
}

function findEarlier(
  store: Store,
  own: { readonly lineage: Lineage; readonly prints: readonly string[] },
): DecodedAccount | undefined {
  const candidates = store.accounts.list().flatMap(({ id, value }) => {
    const head = decodeAccount(value, new Map());
    return head === undefined
      ? []
      : [{ id, value, lineage: head.explanation.lineage, prints: head.explanation.prints }];
  });
  const found = nearest(own, candidates);
  return found && decodeAccount(found.value, stepTexts(store, found.id));
}

function stepTexts(store: Store, account: string): ReadonlyMap<number, string> {
  return new Map(store.accounts.steps(account).map(({ position, value }) => [position, value]));
}

function loadListing(store: Store, id: string): ListedDirectory | undefined {
  const stored = store.accounts.listing(id);
  return stored && { text: stored.value, children: stored.children };
}

function keep(store: Store, explanation: Explanation, made: ReadonlyMap<string, ListedDirectory>): void {
  const { head, steps } = encodeAccount(explanation);
  const listings = new Map([...made].map(([id, { text, children }]) => [id, { children, value: text }]));
  const rows = explanation.steps.map(({ nodes, inputs }, position) => ({
    position,
    node: nodes[0] ?? '',
    listings: inputs.flatMap(({ listing }) => (listing === undefined ? [] : [listing])),
    value: steps[position] ?? '',
  }));
  store.accounts.add(
    { lineage: lineageKey(explanation.lineage), createdAt: explanation.at, value: head },
    rows,
    listings,
  );
}

/** The explanation of the newest build of which a test holds. */
export function storedExplanation(
  store: Store,
  test: (build: Pick<Explanation, 'lineage'>) => boolean,
): Explanation | undefined {
  for (const { id, value } of store.accounts.list()) {
    const head = decodeAccount(value, new Map());
    if (head !== undefined && test(head.explanation)) return decodeAccount(value, stepTexts(store, id))?.explanation;
  }
  return undefined;
}
