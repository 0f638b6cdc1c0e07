import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { makeCertificates } from './certificate.ts';
import { controlOf, debianPackage, npmPackage, pythonWheel } from './debian-base.ts';

/** What a path gives. */
type Files = Map<string, Uint8Array | string>;

/**
 * An apt repository over plain HTTP, an index of Python packages, a registry of npm packages and a plain file over HTTPS, all on
 * loopback addresses, for names that nobody else knows.
 */
export class PackageServers implements AsyncDisposable {
  /** `repo.test:PORT`. */
  readonly apt: string;
  /** `registry.test:PORT`, for which a certificate is made. */
  readonly secure: string;
  /** The authority of that certificate. */
  readonly ca: string;
  /** Method, host and path of each request. */
  readonly seen: string[];
  /** What the server with TLS has; it may be changed. */
  readonly files: Files;
  readonly #servers: readonly Server[];

  private constructor(options: Omit<PackageServers, '#servers'> & { readonly servers: readonly Server[] }) {
    this.apt = options.apt;
    this.secure = options.secure;
    this.ca = options.ca;
    this.seen = options.seen;
    this.files = options.files;
    this.#servers = options.servers;
  }

  /** @param dir for files of its own */
  static async start(dir: string): Promise<PackageServers> {
    const certificates = join(dir, 'tls');
    mkdirSync(certificates, { recursive: true });
    // An ordinary user reads the authority.
    chmodSync(dir, 0o755);
    const { ca, cert, key } = makeCertificates(certificates);
    const seen: string[] = [];
    const debian = aptFiles(dir);
    const files: Files = new Map();
    const serve =
      (all: Files) =>
      (request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse): void => {
        seen.push(`${request.method} ${request.headers.host}${request.url}`);
        const found = all.get((request.url ?? '').split('?', 1)[0] ?? '');
        if (found === undefined) response.writeHead(404).end('not here');
        else if ((request.url ?? '').includes('/pypi/simple/'))
          response.setHeader('content-type', 'text/html').end(found);
        else response.setHeader('last-modified', 'Sun, 13 Sep 2020 12:26:40 GMT').end(found);
      };
    const servers = [
      createServer(serve(debian)),
      createSecureServer({ cert: readFileSync(cert), key: readFileSync(key) }, serve(files)),
    ];
    const [apt = '', secure = ''] = await Promise.all(
      servers.map(async (server, index) => {
        await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        return `${['repo.test', 'registry.test'][index]}:${(server.address() as AddressInfo).port}`;
      }),
    );
    files.set('/file', 'the file\n');
    addPython(files, dir);
    addNpm(files, dir, `https://${secure}`);
    const readable = join(dir, 'ca.crt');
    copyFileSync(ca, readable);
    return new PackageServers({ apt, secure, ca: readable, seen, files, servers } as never);
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.#servers.map((server) => {
        server.closeAllConnections();
        return new Promise((resolve) => server.close(resolve));
      }),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

function aptFiles(dir: string): Files {
  const hash = (data: Uint8Array | string): string => createHash('sha256').update(data).digest('hex');
  const deb = debianPackage(dir, 'greeting', 'hello from apt');
  const index = `${controlOf('greeting')}Filename: ./greeting.deb\nSize: ${deb.length}\nSHA256: ${hash(deb)}\n`;
  const release = `Suite: test\nDate: Sun, 13 Sep 2020 12:26:40 UTC\nSHA256:\n ${hash(index)} ${index.length} Packages\n`;
  return new Map<string, Uint8Array | string>([
    ['/greeting.deb', deb],
    ['/Packages', index],
    ['/./greeting.deb', deb],
    ['/./Packages', index],
    ['/Release', release],
    ['/./Release', release],
  ]);
}

function addPython(files: Files, dir: string): void {
  const wheel = pythonWheel(dir, 'tinywheel', 'hello from pip');
  const name = 'tinywheel-1.0-py3-none-any.whl';
  files.set(
    '/pypi/simple/tinywheel/',
    `<!DOCTYPE html><html><body><a href="/pypi/files/${name}">${name}</a></body></html>`,
  );
  files.set(`/pypi/files/${name}`, wheel);
}

function addNpm(files: Files, dir: string, origin: string): void {
  const tarball = npmPackage(dir, 'tinypkg', 'hello from npm');
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`;
  const dist = { tarball: `${origin}/npm/tinypkg/-/tinypkg-1.0.0.tgz`, integrity };
  const version = { name: 'tinypkg', version: '1.0.0', dist };
  files.set(
    '/npm/tinypkg',
    JSON.stringify({ name: 'tinypkg', 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': version } }),
  );
  files.set('/npm/tinypkg/-/tinypkg-1.0.0.tgz', tarball);
}
