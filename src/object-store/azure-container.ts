import { TsbuildError } from '../util/index.ts';
import type { AzureAccess } from './azure-key.ts';
import type { KeyPrefixes } from './key-prefixes.ts';

/** A cache in a container of an Azure storage account. */
export interface AzblobOptions extends KeyPrefixes {
  /** E.g. `https://account.blob.core.windows.net`. */
  readonly accountUrl: string;
  /** Made when something is put and it is not there. */
  readonly container: string;
  readonly access: AzureAccess;
  /** Where the key or token comes from, for messages. */
  readonly accessFrom: string;
}

/** What messages call a container. */
export function containerId({ accountUrl, container, prefix }: AzblobOptions): string {
  return `${accountUrl.replace(/\/$/, '')}/${container}/${prefix}`.replace(/\/$/, '');
}

/** The URL of a container, with a slash at its end. @throws TsbuildError `TSB_USAGE` */
export function containerUrl({ accountUrl, container }: AzblobOptions): URL {
  const fail = (why: string, hint: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use container ${JSON.stringify(container)}: ${why}`, { hint });
  const url = URL.canParse(accountUrl) ? new URL(accountUrl) : undefined;
  if (
    url === undefined ||
    (url.protocol !== 'https:' && url.protocol !== 'http:') ||
    url.username !== '' ||
    url.search !== ''
  )
    throw fail(
      '"account_url" is not the URL of a storage account',
      'for example: account_url=https://account.blob.core.windows.net',
    );
  if (!/^(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(container))
    throw fail('it is no name of a container', 'names have 3 to 63 of a-z, 0-9 and single dashes');
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  url.pathname += `${container}/`;
  return url;
}
