import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { stop } from './stop.ts';
import { until } from './until.ts';

/** Azure Blob Storage as Microsoft's own emulator has it. */
export interface Azurite extends AsyncDisposable {
  readonly accountUrl: string;
  readonly account: string;
  readonly key: string;
}

/** @param program the path of `azurite-blob` */
export async function startAzurite(program: string): Promise<Azurite> {
  const directory = mkdtempSync(join(tmpdir(), 'tsbuild-azurite-'));
  const port = await freePort();
  const account = 'cacheaccount';
  const key = Buffer.from('a key of thirty-two bytes or more').toString('base64');
  const server = spawn(
    program,
    [
      '--silent',
      '--location',
      directory,
      '--blobHost',
      '127.0.0.1',
      '--blobPort',
      String(port),
      '--skipApiVersionCheck',
    ],
    {
      stdio: 'ignore',
      // Whoever asks its vendor about newer versions is not offline.
      env: { ...process.env, AZURITE_ACCOUNTS: `${account}:${key}` },
    },
  );
  await until('azurite answers', () => {
    if (server.exitCode !== null || server.signalCode !== null) throw new Error('azurite did not start');
    return fetch(`http://127.0.0.1:${port}/${account}?comp=list`).then(
      () => true,
      () => false,
    );
  });
  return {
    accountUrl: `http://127.0.0.1:${port}/${account}`,
    account,
    key,
    async [Symbol.asyncDispose]() {
      // Asked nicely it waits for connections to end, which are kept alive.
      await stop(server);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
