import { FactCache } from '../cache/index.ts';
import { sha256 } from '../util/index.ts';
import type { BuildRequest } from './request.ts';
import type { Session } from './session.ts';

/** Whether a request was built here before, and so is likely to be cached. Only speed depends on the answer. */
export class Expectation {
  readonly #facts: FactCache;
  readonly #key: string;
  readonly #request: BuildRequest;

  constructor(session: Session, request: BuildRequest) {
    const { contextDir, dockerfile, target, platforms } = request;
    this.#facts = new FactCache(session.store);
    this.#request = request;
    this.#key = sha256(JSON.stringify([contextDir, dockerfile, target, platforms]));
  }

  get isNews(): boolean {
    return this.#request.noCache || this.#facts.get('built', this.#key) === undefined;
  }

  /** The request was built. */
  met(): void {
    if (this.isNews) this.#facts.put('built', this.#key, true);
  }
}
