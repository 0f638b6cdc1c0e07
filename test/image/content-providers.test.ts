import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ArchiveFile } from '../../src/exporter/archive-file.ts';
import { layoutOf } from '../../src/exporter/import.ts';
import { openOciLayout, parseReference } from '../../src/image/index.ts';
import { createRegistry, registryContent } from '../../src/registry/index.ts';
import { layoutOrigin } from '../../src/source/index.ts';
import { blobContent, BlobDir, Store } from '../../src/store/index.ts';
import { hexOf } from '../../src/util/index.ts';
import { tar } from '../support/image.ts';
import { memoryContent } from '../support/memory-content.ts';
import { startRegistry } from '../support/registry.ts';
import { testTask } from '../support/task.ts';
import { contentProviderSuite, type ProviderContent } from '../suites/content-provider.ts';

/** A directory for one fixture, and how to be rid of it. */
function scratch(): { readonly folder: string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'tsbuild-content-'));
  return { folder, remove: () => rmSync(folder, { recursive: true }) };
}

/** The files of an OCI layout by path. */
function layoutFiles({ blobs, documents }: ProviderContent): Map<string, string | Uint8Array> {
  return new Map<string, string | Uint8Array>([
    ['oci-layout', '{"imageLayoutVersion":"1.0.0"}'],
    ['index.json', JSON.stringify({ schemaVersion: 2, manifests: documents })],
    ...blobs.map(({ digest, bytes }): [string, Uint8Array] => [`blobs/sha256/${hexOf(digest)}`, bytes]),
  ]);
}

function layoutFolder(content: ProviderContent): ReturnType<typeof scratch> {
  const made = scratch();
  mkdirSync(join(made.folder, 'blobs/sha256'), { recursive: true });
  for (const [path, bytes] of layoutFiles(content)) writeFileSync(join(made.folder, path), bytes);
  return made;
}

contentProviderSuite('memory', async ({ blobs }) => ({
  provider: memoryContent(...blobs),
  [Symbol.asyncDispose]: () => Promise.resolve(),
}));

contentProviderSuite('store', async ({ blobs }) => {
  const { folder, remove } = scratch();
  const store = Store.open(folder, { now: () => 0 });
  for (const { bytes } of blobs) store.blobs.put(bytes);
  return {
    provider: blobContent(store.blobs),
    async [Symbol.asyncDispose]() {
      store.close();
      remove();
      return Promise.resolve();
    },
  };
});

contentProviderSuite('layout directory, kept open', async (content) => {
  const { folder, remove } = layoutFolder(content);
  const layout = openOciLayout(folder);
  return {
    provider: layout,
    async [Symbol.asyncDispose]() {
      layout[Symbol.dispose]();
      remove();
      return Promise.resolve();
    },
  };
});

contentProviderSuite('layout directory, opened for each read', async (content) => {
  const { folder, remove } = layoutFolder(content);
  return {
    provider: layoutOrigin(folder)(testTask()),
    [Symbol.asyncDispose]: () => Promise.resolve(remove()),
  };
});

contentProviderSuite('archive', async (content) => {
  const { folder, remove } = scratch();
  const path = join(folder, 'image.tar');
  writeFileSync(path, tar([...layoutFiles(content)].map(([name, bytes]) => ({ name, content: bytes }))));
  const archive = await ArchiveFile.open(testTask(), new BlobDir(folder), { path });
  return {
    provider: layoutOf(archive),
    async [Symbol.asyncDispose]() {
      archive[Symbol.dispose]();
      remove();
      return Promise.resolve();
    },
  };
});

contentProviderSuite('registry', async ({ blobs, documents }) => {
  const server = await startRegistry();
  const registry = createRegistry({ now: () => 0, limits: { attempts: 1 } });
  const repository = parseReference(`${server.host}/app`);
  const isDocument = new Set(documents.map(({ digest }) => digest));
  for (const { digest, size, bytes } of blobs) {
    if (!isDocument.has(digest)) await registry.pushBlob(testTask(), repository, { digest, size, open: () => [bytes] });
  }
  for (const { digest, mediaType } of documents) {
    const bytes = blobs.find((blob) => blob.digest === digest)?.bytes ?? Buffer.alloc(0);
    await registry.pushManifest(testTask(), { ...repository, digest }, mediaType, bytes);
  }
  return {
    provider: registryContent(registry, testTask(), repository),
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
});
