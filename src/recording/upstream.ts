import { lookup as lookUp } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { networkInterfaces } from 'node:os';
import {
  addressKind,
  type HttpAnswer,
  HttpClient,
  type HttpClientOptions,
  isPassing,
  plainAddress,
} from '../registry/index.ts';
import type { Task } from '../events/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { ProxyRequest } from './proxy-request.ts';

/** What of the machine this proxy needs to know. */
export interface UpstreamOptions extends Pick<HttpClientOptions, 'proxy' | 'certificateDirs' | 'limits'> {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Steps may reach what is this machine's own, and metadata services. */
  readonly allowOwn: boolean;
  /** Addresses of names that steps were given (`--add-host`). */
  readonly hosts: readonly { readonly host: string; readonly ip: string }[];
}

/** Asks servers in the stead of steps, and keeps steps away from where they could not come to by themselves. */
export class Upstream implements AsyncDisposable {
  readonly #client: HttpClient;
  readonly #allowOwn: boolean;

  constructor({ allowOwn, hosts, ...options }: UpstreamOptions) {
    this.#allowOwn = allowOwn;
    this.#client = new HttpClient({
      ...options,
      limits: { minBytesPerWindow: 1024, headersMs: 60_000, connectionsPerHost: 16, ...options.limits },
      lookup: lookupWith(new Map(hosts.map(({ host, ip }) => [host.toLowerCase(), ip])), allowOwn),
    });
  }

  /**
   * Sends a request. Redirects are answers: it is the client who follows them, unless `redirects` says otherwise.
   * @throws TsbuildError `TSB_NETWORK` for an address that is out of reach; the network's errors as they are
   */
  async send(
    task: Task,
    { method, url, headers, body }: Pick<ProxyRequest, 'method' | 'url' | 'headers' | 'body'>,
    redirects: 'follow' | 'refuse' = 'refuse',
  ): Promise<HttpAnswer> {
    const mayGo = (to: URL): boolean => this.#allowOwn || !isOutOfReach(to.hostname.replace(/^\[|\]$/g, ''));
    if (!mayGo(url)) throw outOfReach(url.host);
    const { authorization, ...others } = headers;
    const request = {
      method: method as 'GET',
      url,
      headers: others,
      ...(authorization === undefined ? {} : { authorization }),
      ...(body === undefined ? {} : { body }),
      insecure: false,
      redirects,
      mayGo,
    };
    try {
      return await this.#client.send(task, request);
    } catch (error) {
      // A connection that was kept may have been closed by the server just now.
      if (body !== undefined || task.signal.aborted || !isPassing(error)) throw error;
      return this.#client.send(task, request);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }
}

function outOfReach(what: string): TsbuildError {
  return new TsbuildError(
    'TSB_NETWORK',
    `${what} is this machine itself or a metadata service, which steps do not reach`,
    { hint: 'if the Dockerfile is to be trusted with it, build with --allow network.host' },
  );
}

/** As in a step's usual network: loopback, link-local and metadata addresses, and those of the machine's own interfaces. */
function isOutOfReach(host: string): boolean {
  const kind = addressKind(isIP(host) === 6 ? `[${host}]` : host);
  return kind === 'loopback' || kind === 'forbidden' || isOwn(host);
}

function isOwn(address: string): boolean {
  const plain = plainAddress(address);
  return Object.values(networkInterfaces()).some((all) => all?.some((one) => plainAddress(one.address) === plain));
}

/**
 * Finds the addresses of names. Whatever a name leads to must be in reach: all of it, or one with several addresses would be a way around.
 * @param hosts addresses that are known by other means, by names
 */
function lookupWith(hosts: ReadonlyMap<string, string>, allowOwn: boolean): LookupFunction {
  return (hostname, options, callback) => {
    const known = hosts.get(hostname.toLowerCase());
    lookUp(known ?? hostname, { ...options, all: true }, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error) callback(error, '', 0);
      else if (!allowOwn && addresses.some(({ address }) => isOutOfReach(address)))
        callback(outOfReach(hostname), '', 0);
      else if (options.all === true) callback(null, addresses);
      else callback(null, first?.address ?? '', first?.family ?? 0);
    });
  };
}
