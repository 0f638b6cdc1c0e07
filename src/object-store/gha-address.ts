import { TsbuildError } from '../util/index.ts';

/** The cache service of GitHub Actions, version 2. */
export interface GhaOptions {
  /** `ACTIONS_RESULTS_URL`. */
  readonly url: string;
  /** `ACTIONS_RUNTIME_TOKEN`, which says whose job it is and what it may read and write. */
  readonly token: string;
}

/** Requests that a build should get along with: those of other jobs of the repository count, too. */
export const GHA_REQUESTS = 100;

/** What messages call the service. */
export function ghaId(host: string): string {
  return `the cache of GitHub Actions at ${host}`;
}

/** @throws TsbuildError `TSB_USAGE` for what is no address of a service */
export function ghaUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return url;
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot use the cache of GitHub Actions: ${JSON.stringify(text)} is not its URL`,
    {
      hint: 'it is in ACTIONS_RESULTS_URL, or given as url_v2=',
    },
  );
}
