import { mkdirSync, rmSync } from 'node:fs';
import type { HttpClient } from '../../registry/index.ts';
import type { GitSource, HttpSource } from '../../source/index.ts';
import type { Pins, Refusals } from '../../pins/index.ts';
import type { Store } from '../../store/index.ts';
import { randomHex, version } from '../../util/index.ts';

interface Options {
  readonly store: Store;
  /** Told when something is going to be asked of other machines. */
  readonly onUse: () => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly home: string;
  readonly pins: Pins;
  /** Set: no server is asked. */
  readonly offline?: Refusals | undefined;
  /** Proxy variables of the environment. */
  readonly proxies: Readonly<Record<string, string>>;
  /** The same for this process's own client. */
  readonly proxy: { readonly http?: string; readonly https?: string; readonly no?: string };
}

/** Sources of one command that are neither images nor directories of the machine. Loaded and made when they are first needed. */
export class RemoteSources implements AsyncDisposable {
  readonly #options: Options;
  #client: HttpClient | undefined;
  #http: Promise<HttpSource> | undefined;
  #git: Promise<GitSource> | undefined;

  constructor(options: Options) {
    this.#options = options;
  }

  http(): Promise<HttpSource> {
    this.#options.onUse();
    return (this.#http ??= this.#openHttp());
  }

  async #openHttp(): Promise<HttpSource> {
    const { store, now, proxy, pins, offline } = this.#options;
    const [registry, source] = await Promise.all([import('../../registry/index.ts'), import('../../source/index.ts')]);
    // Downloads are served by small servers too: a slow one is not given up as early as a registry.
    this.#client = new registry.HttpClient({
      proxy,
      userAgent: `tsbuild/${version}`,
      now,
      limits: { minBytesPerWindow: 1024 },
    });
    return new source.HttpSource({
      client: this.#client,
      facts: store.facts,
      temporary: () => this.temporary(),
      now,
      pins,
      ...(offline ? { offline } : {}),
    });
  }

  git(): Promise<GitSource> {
    this.#options.onUse();
    return (this.#git ??= this.#openGit());
  }

  async #openGit(): Promise<GitSource> {
    const { store, home, proxies, now, pins, offline } = this.#options;
    const { GitSource: Git } = await import('../../source/index.ts');
    return new Git({
      temporary: () => this.temporary(),
      home,
      proxies,
      now,
      pins,
      facts: store.facts,
      ...(offline ? { offline } : {}),
    });
  }

  /** A new empty directory in the store that only this user reaches. It is removed when the command ends, however it does. */
  temporary(): string {
    const { store } = this.#options;
    const path = `${store.layout.ingest}/${store.session()}/${randomHex(8)}`;
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  }

  /** Removes such a directory early. */
  discard(path: string): void {
    rmSync(path, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client?.[Symbol.asyncDispose]();
  }
}
