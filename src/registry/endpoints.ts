import { isTsbuildError } from '../util/index.ts';
import type { Reference } from '../image/index.ts';
import type { Endpoint } from './http/endpoint.ts';
import { emptyRegistriesConfig, endpointsFor, type RegistriesConfig } from './registries-conf.ts';

/**
 * Whom to ask for a reference, mirrors first. A mirror that did not answer is left out from then on: each blob of an image would wait for
 * it anew, three times 20 seconds.
 */
export class Endpoints {
  readonly #config: RegistriesConfig;
  readonly #silent = new Set<string>();

  constructor(config: RegistriesConfig = emptyRegistriesConfig) {
    this.#config = config;
  }

  /** Never empty: who cannot be done without is asked again. */
  of(reference: Reference): readonly Endpoint[] {
    const all = endpointsFor(reference, this.#config);
    return all.filter(({ host }, index) => index === all.length - 1 || !this.#silent.has(host));
  }

  /** @returns whether the endpoint will be asked again by this command */
  failed(endpoint: Endpoint, error: unknown): boolean {
    // An answer, even a refusal, says that somebody is there: other repositories may be served.
    if (!isTsbuildError(error, 'TSB_NETWORK')) return true;
    this.#silent.add(endpoint.host);
    return false;
  }
}
