import type { FactTable } from '../../store/index.ts';
import { sha256 } from '../../util/index.ts';
import type { BuildRequest } from '../request.ts';
import type { Session } from '../session.ts';

/**
 * Whether a request was built here before, and so is likely to be cached: the only place that is asked whether something was seen.
 * The worker is started early for what is news, and its large copies are packed before the cache has answered. Only speed depends on it.
 */
export class Expectation {
  readonly #facts: FactTable;
  readonly #key: string;
  readonly #noCache: boolean;
  #known: boolean | undefined;

  constructor(session: Session, request: BuildRequest) {
    const { contextDir, context, dockerfile, target, platforms, noCache, definition } = request;
    const place = contextDir ?? (context?.kind === 'remote' ? context.url : undefined);
    this.#facts = session.store.facts;
    this.#noCache = noCache;
    const graph = definition?.definition.def.map((bytes) => sha256(bytes));
    this.#key = sha256(JSON.stringify([place, dockerfile, target, platforms, ...(graph ?? [])]));
  }

  get isNews(): boolean {
    if (this.#noCache) return true;
    return !(this.#known ??= this.#facts.get('built', this.#key) !== undefined);
  }

  /** The request was built. */
  met(): void {
    if (this.isNews) this.#facts.put('built', this.#key, true);
  }
}
