import { answerName, type RecordedAnswer } from '../pins/index.ts';
import type { ProxyRequest } from './proxy-request.ts';

/** How a step's requests are answered. `record`: from what is written down, else by the server. `locked`: from that alone. */
export type RecordMode = 'record' | 'locked';

/** Headers of a request that `Vary` is heeded for. Others differ between two clients that want the same, or are secrets. */
const VARYING: readonly string[] = ['accept', 'accept-language', 'git-protocol'];

/** What answers are told apart by, so that few have to be looked at. */
const keyOf = (method: string, url: string, sent: string | undefined): string =>
  JSON.stringify([method, url, sent ?? '']);

/** The answers of one build: those that a lock file has, and those that are new. */
export class Tape {
  readonly #known: readonly RecordedAnswer[];
  readonly #fresh: boolean;
  readonly #answers = new Map<string, RecordedAnswer[]>();
  readonly #steps = new Map<string, Set<string>>();
  readonly #recorded = new Set<string>();
  #isNew = false;

  /**
   * @param known of the lock file
   * @param fresh steps that record ask servers for everything again
   */
  constructor(known: readonly RecordedAnswer[], fresh: boolean) {
    this.#known = known;
    this.#fresh = fresh;
    if (!fresh) for (const answer of known) this.#put(answer);
  }

  /** What was recorded for a step, which is all that it gets in a locked build. */
  of(step: string): readonly RecordedAnswer[] {
    return this.#known.filter(({ steps }) => steps.includes(step));
  }

  /** The answer to a request; undefined when the server has to be asked. */
  find(request: ProxyRequest, mode: RecordMode, step: string): RecordedAnswer | undefined {
    const of = (method: string): readonly RecordedAnswer[] => {
      const { written, sent } = request;
      if (mode === 'record') return this.#answers.get(keyOf(method, written, sent)) ?? [];
      return this.of(step).filter((one) => one.method === method && one.url === written && one.sent === sent);
    };
    const found = choose(of(request.method), request);
    // What a body would have had as headers is known with the body.
    return found ?? (request.method === 'HEAD' ? choose(of('GET'), request) : undefined);
  }

  /** Whether another step has what this one does not. */
  isKnown({ method, written }: ProxyRequest): boolean {
    return this.#known.some((one) => one.method === method && one.url === written);
  }

  /** Takes down a server's answer. Of two for one request the first one counts, so that a build sees one state. */
  add(answer: RecordedAnswer): RecordedAnswer {
    const same = this.#answers.get(keyOf(answer.method, answer.url, answer.sent)) ?? [];
    const first = same.find((one) => answerName(one) === answerName(answer));
    if (first) return first;
    this.#put(answer);
    this.#isNew = true;
    return answer;
  }

  #put(answer: RecordedAnswer): void {
    const key = keyOf(answer.method, answer.url, answer.sent);
    this.#answers.set(key, [...(this.#answers.get(key) ?? []), answer]);
  }

  /** A step begins to be recorded: what it asked for in earlier builds is forgotten unless it asks again. */
  begin(step: string): void {
    this.#recorded.add(step);
  }

  /** Notes that a step got an answer. */
  use(answer: RecordedAnswer, step: string): void {
    const name = answerName(answer);
    const steps = this.#steps.get(name) ?? new Set();
    this.#steps.set(name, steps.add(step));
  }

  /** Whether a server was asked. */
  get hasNew(): boolean {
    return this.#isNew;
  }

  /** What a lock file should say: what recorded steps got, and what was known of steps that did not run. */
  toWrite(): readonly RecordedAnswer[] {
    const all = new Map<string, RecordedAnswer>();
    for (const answer of [...this.#known, ...[...this.#answers.values()].flat()]) {
      const name = answerName(answer);
      const old = this.#fresh ? [] : answer.steps.filter((step) => !this.#recorded.has(step));
      const steps = [...new Set([...old, ...(this.#steps.get(name) ?? [])])].toSorted();
      if (steps.length > 0) all.set(name, { ...answer, steps });
    }
    return [...all.values()];
  }
}

/** The answer that fits: for the same headers, and with credentials where there were some, unless those alone make the difference. */
function choose(answers: readonly RecordedAnswer[], { headers, authorized }: ProxyRequest): RecordedAnswer | undefined {
  const fitting = answers.filter(({ vary = {} }) =>
    Object.entries(vary).every(([name, value]) => (headers[name] ?? '') === value),
  );
  const isDenied = ({ status }: RecordedAnswer): boolean => status === 401 || status === 403;
  return (
    fitting.find((answer) => (answer.authorized ?? false) === authorized) ?? fitting.find((answer) => !isDenied(answer))
  );
}

/** The headers that an answer depends on, as its server says. */
export function varyOf(vary: string | undefined, headers: Readonly<Record<string, string>>): RecordedAnswer['vary'] {
  const names = (vary ?? '').toLowerCase().split(/[\s,]+/);
  const found = VARYING.filter((name) => names.includes(name)).map((name) => [name, headers[name] ?? ''] as const);
  return found.length === 0 ? undefined : Object.fromEntries(found);
}
