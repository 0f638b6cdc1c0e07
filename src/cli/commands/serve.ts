import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { resolve } from 'node:path';
import { isLoopback, openAccess, startServer } from '../../serve/index.ts';
import { Store } from '../../store/index.ts';
import { fromErrno, sanitizeLine, TsbuildError } from '../../util/index.ts';
import { type CliContext, interruptible } from '../context.ts';
import { storeRoot } from '../store-root.ts';

/** Options of `serve`, as commander gives them. */
export interface ServeCommandOptions {
  readonly addr: string;
  readonly readOnly?: boolean;
  readonly htpasswd?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly anonymousWrite?: boolean;
  readonly quiet?: boolean;
}

/** `tsbuild serve`: until it is interrupted. */
export async function serveCommand(context: CliContext, options: ServeCommandOptions): Promise<number> {
  const { cwd, stderr, now } = context;
  const { host, port } = parseAddress(options.addr);
  const tls = readTls(cwd, options);
  const htpasswd = options.htpasswd === undefined ? undefined : resolve(cwd, options.htpasswd);
  const open = htpasswd !== undefined || isLoopback(host) || options.anonymousWrite === true;
  const writable = options.readOnly !== true && open;
  const access = openAccess({ ...(htpasswd === undefined ? {} : { htpasswd }), writable }, now);
  const say = (text: string): void => void stderr.write(`${sanitizeLine(text, 500)}\n`);
  using interrupt = interruptible();
  const store = Store.open(storeRoot(context), { now, onWarning: ({ message }) => say(`warning: ${message}`) });
  try {
    await using server = await startServer({
      store,
      host,
      port,
      access,
      ...(tls ? { tls } : {}),
      ...(options.quiet
        ? {}
        : { onRequest: ({ method, url, status, ms }) => say(`${method} ${url.split('?')[0]} ${status} ${ms} ms`) }),
      onFailure: (message) => say(`error: ${message}`),
    });
    say(`serving ${store.root} on ${tls ? 'https' : 'http'}://${server.address}${writable ? '' : ', read-only'}`);
    if (!writable && options.readOnly !== true)
      say('others can reach this address: without --htpasswd nothing is taken from them (--anonymous-write allows it)');
    if (htpasswd !== undefined && !tls && !isLoopback(host))
      say('warning: passwords travel in the clear: use --tls-cert and --tls-key');
    await ended(interrupt.signal);
    return 0;
  } finally {
    store.close();
  }
}

async function ended(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve_) => {
    signal.addEventListener('abort', () => resolve_(), { once: true });
  });
}

/** `--addr [HOST]:PORT`, `PORT`, or `[IPV6]:PORT`. @throws TsbuildError `TSB_USAGE` */
function parseAddress(text: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, digits = ''] = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]*)):)?(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? (plain === '' ? '0.0.0.0' : (plain ?? '127.0.0.1'));
  const port = Number(digits);
  if (digits === '' || port > 65_535 || (bracketed !== undefined && !isIPv6(bracketed)))
    throw new TsbuildError('TSB_USAGE', `Cannot use --addr ${JSON.stringify(text)}: expected HOST:PORT`, {
      hint: 'for example --addr 127.0.0.1:5000, or --addr :5000 for all addresses of the machine',
    });
  return { host, port };
}

function readTls(cwd: string, { tlsCert, tlsKey }: ServeCommandOptions): { cert: Buffer; key: Buffer } | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined)
    throw new TsbuildError('TSB_USAGE', 'Cannot use --tls-cert without --tls-key, nor the other way round');
  return { cert: readPem(cwd, tlsCert), key: readPem(cwd, tlsKey) };
}

function readPem(cwd: string, path: string): Buffer {
  try {
    return readFileSync(resolve(cwd, path));
  } catch (error) {
    throw fromErrno(error, `Cannot read ${JSON.stringify(path)}`, 'TSB_USAGE');
  }
}
