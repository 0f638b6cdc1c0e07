import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A real registry (Debian's docker-registry) on a free port of 127.0.0.1, with an empty storage directory. */
export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:<port>` */
  readonly host: string;
  readonly storage: string;
}

/** Whom a registry with a password lets in. */
export const REGISTRY_USER = { username: 'alice', password: 'correct horse' };

/** bcrypt of the password, which is the only form that the registry takes. */
const HTPASSWD = 'alice:$2b$04$/tkUz9jmizhmVCE70oqri.LeKOOCLj33bucudUzYiqGf2kgH1i8WK\n';

/** @param options `password`: only `REGISTRY_USER` gets in */
export async function startRegistry(options: { readonly password?: boolean } = {}): Promise<TestRegistry> {
  const storage = mkdtempSync(join(tmpdir(), 'tsbuild-registry-'));
  const port = await freePort();
  const config = join(storage, 'config.yml');
  writeFileSync(
    config,
    `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: ${storage}/data}, delete: {enabled: true}}
http: {addr: '127.0.0.1:${port}'}
${options.password ? `auth: {htpasswd: {realm: test, path: ${storage}/htpasswd}}\n` : ''}`,
  );
  writeFileSync(join(storage, 'htpasswd'), HTPASSWD);
  const server = spawn('docker-registry', ['serve', config], { stdio: ['ignore', 'ignore', 'pipe'] });
  const output: Buffer[] = [];
  server.stderr?.on('data', (chunk: Buffer) => output.push(chunk));
  await answers(`http://127.0.0.1:${port}/v2/`, server, output);
  return {
    host: `127.0.0.1:${port}`,
    storage,
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => server.once('exit', resolve));
      server.kill();
      await ended;
      rmSync(storage, { recursive: true, force: true });
    },
  };
}

async function answers(url: string, server: ChildProcess, output: readonly Buffer[]): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (server.exitCode !== null) break;
    try {
      if ([200, 401].includes((await fetch(url)).status)) return;
    } catch {
      // Not listening yet.
    }
    await sleep(50);
  }
  throw new Error(`docker-registry did not start: ${Buffer.concat(output).toString()}`);
}

/** A TCP port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('No port');
  return address.port;
}
