import type { IncomingMessage } from 'node:http';
import { type Digest, sha256 } from '../util/index.ts';
import { writtenAddress } from './web-address.ts';

/** Where a CONNECT asked to be connected to; what comes through it is for that host alone. */
export interface Tunnel {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
}

/** A request of a step, understood. */
export interface ProxyRequest {
  readonly method: string;
  readonly url: URL;
  /** As it is written down. */
  readonly written: string;
  /** It brought credentials along. */
  readonly authorized: boolean;
  /** What the server is to see. */
  readonly headers: Readonly<Record<string, string>>;
  /** What it asked of the answer, which is found out here and not by the server. */
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  readonly ifNoneMatch: string | undefined;
  readonly ifModifiedSince: string | undefined;
  /** The body, for methods that have one. */
  readonly body?: Uint8Array;
  readonly sent?: Digest;
}

/** A request that is refused for what it is. */
export class BadRequest extends Error {
  override readonly name = 'BadRequest';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Methods that change nothing. Others are sent with a permission only. */
export const SAFE_METHODS: readonly string[] = ['GET', 'HEAD'];
const OTHER_METHODS: readonly string[] = ['POST', 'PUT', 'PATCH', 'DELETE'];
/** Bytes of a body that a step may send: it is hashed before it goes out. */
const MAX_SENT = 32 << 20;

/** What is between the client and this proxy, or is answered here. All else is the server's business. */
const OWN_HEADERS = new Set([
  'accept-encoding', 'connection', 'content-length', 'expect', 'host', 'if-match', 'if-modified-since', 'if-none-match', 'if-range',
  'if-unmodified-since', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'range', 'te', 'trailer',
  'transfer-encoding', 'upgrade', 'http2-settings', 'via', 'forwarded', 'x-forwarded-for',
]); // oxfmt-ignore

/**
 * Reads what a client wants. Its body, where it has one, is read to its end.
 * @throws BadRequest for what no proxy should pass on
 */
export async function readRequest(message: IncomingMessage, tunnel: Tunnel | undefined): Promise<ProxyRequest> {
  const { method = '', headers } = message;
  const url = readAddress(message, tunnel);
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  const isSafe = SAFE_METHODS.includes(method);
  if (!isSafe && !OTHER_METHODS.includes(method)) throw new BadRequest(501, `there is no ${method} here`);
  if (isSafe && hasBody) throw new BadRequest(400, `${method} with a body`);
  const body = hasBody ? await readBody(message) : undefined;
  const authorized = authorizationOf(url, headers.authorization);
  url.username = '';
  url.password = '';
  url.hash = '';
  return {
    method,
    url,
    written: writtenAddress(url),
    authorized: authorized !== undefined || headers.cookie !== undefined,
    headers: { ...forwarded(message), ...(authorized === undefined ? {} : { authorization: authorized }) },
    range: headers.range,
    ifRange: oneOf(headers['if-range']),
    ifNoneMatch: headers['if-none-match'],
    ifModifiedSince: headers['if-modified-since'],
    ...(isSafe ? {} : { body: body ?? new Uint8Array(), sent: sha256(body ?? new Uint8Array()) }),
  };
}

function oneOf(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

/** The address: whole in a request to a proxy, a path in a tunnel, whose host is the only one that may be meant. */
function readAddress({ url: target = '', headers }: IncomingMessage, tunnel: Tunnel | undefined): URL {
  if (tunnel === undefined) {
    if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(target)) throw new BadRequest(400, 'this is a proxy, and no web server');
    const url = URL.canParse(target) ? new URL(target) : undefined;
    if (url === undefined || url.hostname === '') throw new BadRequest(400, 'its address cannot be understood');
    if (!/^https?:$/.test(url.protocol))
      throw new BadRequest(501, `${url.protocol}// is not recorded, only http and https`);
    return url;
  }
  const { host, port, secure } = tunnel;
  const origin = `${secure ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  if (!target.startsWith('/') || !URL.canParse(origin + target))
    throw new BadRequest(400, 'its path cannot be understood');
  const url = new URL(origin + target);
  // A path cannot change the host; a header that names another one is for a server that has both, behind the back of who looks at addresses.
  const named = headers.host === undefined ? undefined : `${url.protocol}//${headers.host}`;
  if (named !== undefined && (!URL.canParse(named) || new URL(named).host !== url.host))
    throw new BadRequest(421, `it is for another host than the tunnel to ${url.host}`);
  return url;
}

function authorizationOf({ username, password }: URL, header: string | undefined): string | undefined {
  if (header !== undefined || (username === '' && password === '')) return header;
  try {
    return `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`;
  } catch {
    throw new BadRequest(400, 'its user information cannot be understood');
  }
}

/** Headers for the server: those of the client, without what is between it and this proxy (RFC 9110, 7.6.1). */
function forwarded({ headersDistinct }: IncomingMessage): Readonly<Record<string, string>> {
  const named = (headersDistinct['connection'] ?? []).flatMap((text) => text.toLowerCase().split(/[\s,]+/));
  const dropped = new Set([...OWN_HEADERS, ...named]);
  return Object.fromEntries(
    Object.entries(headersDistinct).flatMap(([name, values = []]) =>
      dropped.has(name) || name.startsWith('sec-websocket-')
        ? []
        : [[name, values.join(name === 'cookie' ? '; ' : ', ')]],
    ),
  );
}

async function readBody(message: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_SENT) throw new BadRequest(413, `it sends more than ${MAX_SENT} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
