import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashSync } from 'bcryptjs';
import type { RegistryOptions } from '../../src/registry/index.ts';
import { openAccess, startServer } from '../../src/serve/index.ts';
import { Store } from '../../src/store/index.ts';
import { REGISTRY_USER, startRegistry } from '../support/registry.ts';
import { startUploadRegistry } from '../support/upload-registry.ts';
import { type RegistryFixture, registrySuite } from './registry.ts';

const credentials: RegistryOptions['credentials'] = { get: () => Promise.resolve(REGISTRY_USER) };

registrySuite("Debian's docker-registry", () => startRegistry());

registrySuite("Debian's docker-registry with a password", async () => {
  const server = await startRegistry({ password: true });
  return { ...server, credentials };
});

/** `tsbuild serve` on an empty store. */
async function serve(password: boolean): Promise<RegistryFixture> {
  const root = mkdtempSync(join(tmpdir(), 'tsbuild-registries-'));
  const failures: string[] = [];
  const store = Store.open(join(root, 'store'), { now: Date.now, onWarning: ({ message }) => failures.push(message) });
  const htpasswd = join(root, 'htpasswd');
  writeFileSync(htpasswd, `${REGISTRY_USER.username}:${hashSync(REGISTRY_USER.password, 4)}\n`);
  const server = await startServer({
    store,
    host: '127.0.0.1',
    port: 0,
    access: openAccess({ writable: true, ...(password ? { htpasswd } : {}) }, Date.now),
    onFailure: (message) => failures.push(message),
  });
  return {
    host: server.address,
    needsNames: true,
    ...(password ? { credentials } : {}),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      store.close();
      rmSync(root, { recursive: true, force: true });
      if (failures.length > 0) throw new Error(`The server failed: ${failures.join('; ')}`);
    },
  };
}

registrySuite('tsbuild serve', () => serve(false));
registrySuite('tsbuild serve with a password', () => serve(true));

// The fake of the tests about uploads, which they believe.
registrySuite('the registry in memory', () => startUploadRegistry());
registrySuite('the registry in memory without a list of referrers', async () =>
  Object.assign(await startUploadRegistry(), { referrers: false }),
);
