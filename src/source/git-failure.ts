import { TsbuildError } from '../util/index.ts';
import type { GitFailure } from './git-command.ts';
import type { GitUrl } from './git-url.ts';

/** Whether trying in another way is pointless: the server cannot be reached, or does not let us in. */
export function isHopeless({ said }: GitFailure): boolean {
  return /Could not resolve host|unable to (look up|connect)|Connection (refused|timed out|closed)|Failed to connect|Authentication failed|could not read (Username|Password)|Permission denied|Host key verification failed|transport '.*' not allowed/i.test(
    said,
  );
}

/** Git's own words, without what it repeats of URLs and credentials. */
export function explainFailure(url: GitUrl, failure: GitFailure): TsbuildError {
  const { said } = failure;
  const hint = hintFor(url, said);
  const missing = /repository .*not (found|exported)|does not exist|not appear to be a git repository/i.test(said);
  return new TsbuildError(
    missing ? 'TSB_NOT_FOUND' : 'TSB_NETWORK',
    `Cannot load git repository ${JSON.stringify(url.url)}: git: ${failure.message}`,
    {
      cause: failure,
      ...(hint === undefined ? {} : { hint }),
    },
  );
}

/** What to do about what git said. */
function hintFor(url: GitUrl, said: string): string | undefined {
  if (/Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED/i.test(said)) {
    return `the host's key is not known: add it to ~/.ssh/known_hosts with "ssh-keyscan ${url.host}" once you have checked it`;
  }
  if (/Permission denied/i.test(said) && url.ssh)
    return 'add the key to an agent with ssh-add and build with --ssh default, or name its file: --ssh default=FILE';
  if (/could not read (Username|Password)|Authentication failed|returned error: 40[13]/i.test(said)) {
    return 'if it is private: --secret id=GIT_AUTH_TOKEN,env=NAME';
  }
  if (/returned error: 30[12378]|redirect/i.test(said)) {
    return 'it redirects; credentials are sent to the address that was named only, so name the one that it leads to';
  }
  if (/transport '(.*)' not allowed/.test(said)) return 'submodules may be fetched by http, https, ssh and git only';
  if (/resolve host|look up|connect/i.test(said)) return 'is the machine online, and the address right?';
  return undefined;
}
