import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  request as forward,
  type ServerResponse,
} from 'node:http';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stop } from './stop.ts';

/** A real registry (Debian's docker-registry) on a free port of 127.0.0.1, with an empty storage directory. */
export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  readonly storage: string;
  /** Takes a repository away, as if nothing had ever been pushed to it. */
  forget(path: string): Promise<void>;
}

/** Whom a registry with a password lets in. */
export const REGISTRY_USER = { username: 'alice', password: 'correct horse' };

/** bcrypt of the password, which is the only form that the registry takes. */
const HTPASSWD = 'alice:$2b$04$/tkUz9jmizhmVCE70oqri.LeKOOCLj33bucudUzYiqGf2kgH1i8WK\n';

export interface TestRegistryOptions {
  /** Whether it deletes manifests; default true. */
  readonly deletes?: boolean;
  /** Only `REGISTRY_USER` gets in. */
  readonly password?: boolean;
  /** Files of a certificate and its key. Go speaks HTTP/2 over TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly readOnly?: boolean;
}

export async function startRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const storage = mkdtempSync(join(tmpdir(), 'tsbuild-registry-'));
  const config = join(storage, 'config.yml');
  writeFileSync(
    config,
    `version: 0.1
log: {level: info, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: ${storage}/data}, delete: {enabled: ${options.deletes ?? true}}${options.readOnly ? ', maintenance: {readonly: {enabled: true}}' : ''}}
http: {addr: '127.0.0.1:0'${options.tls === undefined ? '' : `, tls: {certificate: ${options.tls.cert}, key: ${options.tls.key}}`}}
${options.password ? `auth: {htpasswd: {realm: test, path: ${storage}/htpasswd}}` : ''}
`,
  );
  if (options.password) writeFileSync(join(storage, 'htpasswd'), HTPASSWD);
  const server = spawn('docker-registry', ['serve', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  return {
    host: await listens(server),
    storage,
    async forget(path) {
      // What names blobs in a repository are files there; the registry has no memory of them.
      await rm(join(storage, 'data/docker/registry/v2/repositories', path), { recursive: true });
    },
    async [Symbol.asyncDispose]() {
      await stop(server, 'SIGTERM');
      rmSync(storage, { recursive: true, force: true });
    },
  };
}

/** Where it listens, which it says once it does: the kernel chose the port, so that nobody else can have it. */
async function listens(server: ChildProcess): Promise<string> {
  let output = '';
  const host = await new Promise<string | undefined>((resolve) => {
    server.once('error', (error) => resolve(void (output += error.message)));
    server.once('close', () => resolve(undefined));
    server.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      // Nobody reads what it says afterwards.
      if (output.length < 100_000) output += chunk;
      const [, found] = /listening on (127\.0\.0\.1:\d+)/.exec(output) ?? [];
      if (found !== undefined) resolve(found);
    });
  });
  if (host === undefined) throw new Error(`docker-registry did not start: ${output}`);
  return host;
}

/** One request as it went by. */
export interface PassedRequest {
  readonly method: string;
  readonly url: string;
  /** Bytes of the body. */
  sent: number;
  /** Bytes of the answer's body. */
  received: number;
  status: number;
}

/** A registry behind a server that takes down what goes by, and answers some of it itself. */
export interface WatchedRegistry extends AsyncDisposable {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  readonly requests: PassedRequest[];
  /** Gives a status for a request that the registry is not to see. */
  refuse: (request: PassedRequest) => number | undefined;
  /** What a request waits for before it is passed on. */
  hold: (request: PassedRequest) => Promise<void> | undefined;
  /** Milliseconds that each request waits before it is passed on, as if the registry were far away. */
  delayMs: number;
}

export async function watchRegistry(registry: TestRegistry): Promise<WatchedRegistry> {
  const [hostname, port] = registry.host.split(':');
  const server = createHttpServer((request, response) => {
    const { method = '', url = '' } = request;
    const passed: PassedRequest = { method, url, sent: 0, received: 0, status: 0 };
    watched.requests.push(passed);
    passed.status = watched.refuse(passed) ?? 0;
    if (passed.status !== 0) request.resume().on('end', () => response.writeHead(passed.status).end());
    else {
      const held = watched.hold(passed);
      if (held === undefined) setTimeout(() => passOn(passed, request, response), watched.delayMs);
      else void held.then(() => passOn(passed, request, response));
    }
  });
  function passOn(passed: PassedRequest, request: IncomingMessage, response: ServerResponse): void {
    const { method, url: path } = passed;
    const onward = forward({ hostname, port, method, path, headers: request.headers }, (answer) => {
      passed.status = answer.statusCode ?? 0;
      response.writeHead(passed.status, answer.headers);
      answer.on('data', (chunk: Buffer) => (passed.received += chunk.length)).pipe(response);
    });
    onward.on('error', () => response.destroy());
    request.on('data', (chunk: Buffer) => (passed.sent += chunk.length)).pipe(onward);
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('No port');
  const watched: WatchedRegistry = {
    host: `127.0.0.1:${address.port}`,
    requests: [],
    refuse: () => undefined,
    hold: () => undefined,
    delayMs: 0,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
  return watched;
}
