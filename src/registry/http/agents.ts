import type { Dispatcher } from 'undici';
import { defaultAuthorities, readCertificates } from './certificates.ts';
import type { Limits } from './limits.ts';
import { proxyFor } from './proxy-address.ts';
import type { RegistryOptions } from '../types.ts';

/**
 * The connections of a client: kept alive, a few for each host, through the proxies of the environment, with the certificates that the
 * user has for a host. HTTP/2 is spoken where TLS offers it.
 */
export class Agents implements AsyncDisposable {
  readonly #options: Pick<RegistryOptions, 'proxy' | 'certificateDirs' | 'lookup'>;
  readonly #limits: Limits;
  readonly #agents = new Map<string, Promise<Dispatcher>>();
  /** Hosts for which the authorities of the machine are asked, too. */
  readonly #withSystem = new Set<string>();

  constructor(options: Pick<RegistryOptions, 'proxy' | 'certificateDirs' | 'lookup'>, limits: Limits) {
    this.#options = options;
    this.#limits = limits;
  }

  /** The proxy that requests go by way of. @throws TsbuildError `TSB_NETWORK` for one that is none */
  proxyFor(url: URL): URL | undefined {
    return proxyFor(url, this.#options.proxy);
  }

  /** @throws TsbuildError `TSB_REGISTRY` when the certificates for the host cannot be used, and as `proxyFor` */
  async for(url: URL, insecure: boolean): Promise<Dispatcher> {
    // Of TLS each host may need its own; without, all are alike.
    const host = url.protocol === 'https:' ? url.host : '';
    const proxy = this.proxyFor(url)?.href;
    const system = this.#withSystem.has(host);
    const key = JSON.stringify([host, proxy, insecure, system]);
    let agent = this.#agents.get(key);
    if (agent === undefined) {
      agent = this.#create(host, proxy, insecure, system);
      this.#agents.set(key, agent);
      agent.catch(() => this.#agents.delete(key));
    }
    return agent;
  }

  /** Whether the authorities of the machine are trusted for a host. */
  trustsSystem(url: URL): boolean {
    return this.#withSystem.has(url.host);
  }

  /** Trusts for a host whom the machine trusts. */
  trustSystem(url: URL): void {
    this.#withSystem.add(url.host);
  }

  async #create(host: string, proxy: string | undefined, insecure: boolean, system: boolean): Promise<Dispatcher> {
    const { certificateDirs = [], lookup } = this.#options;
    const { connectMs, idleMs, connectionsPerHost } = this.#limits;
    const found = host === '' ? undefined : readCertificates(certificateDirs, host);
    const own = found?.ca ?? [];
    const tls = {
      ...(insecure ? { rejectUnauthorized: false } : {}),
      // A list replaces Node's own, so that it is part of ours.
      ...(system || own.length > 0 ? { ca: [...(await defaultAuthorities(system)), ...own] } : {}),
      ...(found === undefined || found.own.length === 0
        ? {}
        : { cert: found.own.map(({ cert }) => cert), key: found.own.map(({ key }) => key) }),
    };
    const options = {
      // Of connections that are made here; a proxy looks up by itself.
      connect: { timeout: connectMs, ...tls, ...(lookup === undefined ? {} : { lookup }) },
      bodyTimeout: idleMs,
      connections: connectionsPerHost,
    };
    // Evaluated when it is asked for: what needs no proxy does without half of it.
    const undici = await import('undici');
    if (proxy === undefined) return new undici.Agent(options);
    return new undici.EnvHttpProxyAgent({
      ...options,
      proxyTls: { timeout: connectMs },
      requestTls: { timeout: connectMs, ...tls },
      httpProxy: proxy,
      httpsProxy: proxy,
      // Who is left out never comes here. An empty list keeps undici from reading the environment.
      noProxy: '',
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const agents = [...this.#agents.values()];
    this.#agents.clear();
    await Promise.all(
      agents.map(async (agent) => {
        await (await agent.catch(() => undefined))?.destroy();
      }),
    );
  }
}
