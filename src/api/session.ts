import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { openSession, type Session, type SessionOptions } from '../engine/index.ts';
import { type Isolation, parseIsolation } from '../sandbox/index.ts';
import { credentialPlaces, proxyVariables } from '../registry/index.ts';
import type { BuildEvent, Task } from '../events/index.ts';
import { isTsbuildError, TsbuildError } from '../util/index.ts';

/** What every function of the library takes. */
export interface CommonOptions {
  /** The store's directory. Default: `$TSBUILD_ROOT`, else `$XDG_DATA_HOME/tsbuild` or `~/.local/share/tsbuild`. */
  readonly root?: string;
  /** What steps run in, as `--isolation` has it. Default: `$TSBUILD_ISOLATION`, else `auto`. */
  readonly isolation?: Isolation;
  /** Ends the work; the promise rejects with `TSB_CANCELED` once everything that was started has ended. */
  readonly signal?: AbortSignal;
  /** Told everything that happens: steps, their output, progress of transfers, warnings. */
  readonly onEvent?: (event: BuildEvent) => void;
  /** Told about problems with the store or a registry that were worked around. */
  readonly onWarning?: (message: string) => void;
  readonly registry?: RegistryAccess;
}

/** How registries are reached, besides what the machine's configuration says. */
export interface RegistryAccess {
  /** For one registry. Default: what `docker login`, `podman login` and `tsbuild login` stored, and their credential helpers. */
  readonly credentials?: { readonly host: string; readonly username: string; readonly password: string };
  /** The one file with credentials that counts. */
  readonly authFile?: string;
  /** Registries (`host[:port]`) that are spoken to without TLS, or whose certificate is not looked at. */
  readonly insecure?: readonly string[];
  /** Path of a registries.conf that replaces the usual ones. */
  readonly registriesConf?: string;
}

/** One call of a function of the library: what it works with, and what it is told by and tells. Dispose it. */
export interface Call extends AsyncDisposable {
  readonly session: Session;
  readonly task: Task;
}

/** Begins a call. @throws TsbuildError `TSB_STORE`, `TSB_PERMISSION`, `TSB_USAGE` */
export function openCall(options: CommonOptions, more: Partial<SessionOptions> = {}): Call {
  const { onEvent = () => undefined } = options;
  const stop = stopOf(options);
  try {
    const session = sessionFor(options, stop.signal, more);
    return {
      session,
      task: { signal: stop.signal, events: onEvent },
      async [Symbol.asyncDispose]() {
        stop[Symbol.dispose]();
        await session[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    stop[Symbol.dispose]();
    throw error;
  }
}

/** The caller's signal with the reason that calls reject with: by itself it has whatever the caller gave, or a `DOMException`. */
function stopOf({ signal }: CommonOptions): { readonly signal: AbortSignal } & Disposable {
  const controller = new AbortController();
  const cancel = (): void => {
    const reason: unknown = signal?.reason;
    controller.abort(
      isTsbuildError(reason, 'TSB_CANCELED') ? reason : new TsbuildError('TSB_CANCELED', 'Canceled', { cause: reason }),
    );
  };
  if (signal?.aborted) cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  // The caller's may live much longer than the call.
  return { signal: controller.signal, [Symbol.dispose]: () => signal?.removeEventListener('abort', cancel) };
}

function sessionFor(options: CommonOptions, signal: AbortSignal, more: Partial<SessionOptions>): Session {
  const { registry = {}, onWarning = () => undefined } = options;
  const { credentials, authFile, insecure, registriesConf } = registry;
  const home = process.env['HOME'] || homedir();
  const places = credentialPlaces(
    process.env,
    { home, uid: process.getuid?.() ?? 0 },
    authFile === undefined ? undefined : resolve(authFile),
  );
  const hosts = new Set([...(insecure ?? []), ...(more.insecureHosts ?? [])]);
  return openSession({
    root: storeRoot(options.root, home),
    now: Date.now,
    signal,
    home,
    onWarning,
    credentialSources: places,
    proxies: proxyVariables(process.env),
    ...isolationOf(options),
    ...more,
    ...(hosts.size === 0 ? {} : { insecureHosts: hosts }),
    ...(credentials === undefined
      ? {}
      : {
          credentials: {
            host: credentials.host,
            credential: { username: credentials.username, password: credentials.password },
          },
        }),
    ...(registriesConf === undefined ? {} : { registriesConf: resolve(registriesConf) }),
  });
}

function isolationOf({ isolation }: CommonOptions): Pick<SessionOptions, 'isolation'> {
  const { TSBUILD_ISOLATION } = process.env;
  if (isolation !== undefined) return { isolation };
  return TSBUILD_ISOLATION ? { isolation: parseIsolation(TSBUILD_ISOLATION) } : {};
}

function storeRoot(root: string | undefined, home: string): string {
  const { TSBUILD_ROOT, XDG_DATA_HOME } = process.env;
  if (root !== undefined) return resolve(root);
  return TSBUILD_ROOT ? resolve(TSBUILD_ROOT) : join(XDG_DATA_HOME || join(home, '.local/share'), 'tsbuild');
}
