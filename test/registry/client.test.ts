import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRegistry, parseRegistriesConf, type Registry } from '../../src/registry/index.ts';
import { parseReference, mediaTypes } from '../../src/image/index.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';
import { testImage } from '../support/image.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { testTask } from '../support/task.ts';

const image = testImage({ layers: [[{ name: 'a', content: 'a'.repeat(100_000) }], [{ name: 'b', content: 'b' }]] });

describe('a real registry', () => {
  let server: TestRegistry;
  let client: Registry;
  let folder: string;
  beforeAll(async () => {
    server = await startRegistry();
    client = createRegistry({ now: () => 0 });
    folder = mkdtempSync(join(tmpdir(), 'tsbuild-client-'));
    for (const blob of image.blobs) writeFileSync(join(folder, blob.digest.slice(7)), blob.bytes);
    writeFileSync(join(folder, 'version'), 'Directory Transport Version: 1.1\n');
    writeFileSync(join(folder, 'manifest.json'), image.manifest.bytes);
    writeFileSync(join(folder, 'policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
    const copy = spawnSync(
      'skopeo',
      [
        `--policy=${folder}/policy.json`,
        'copy',
        '-q',
        '--dest-tls-verify=false',
        `dir:${folder}`,
        `docker://${server.host}/some/app:1`,
      ],
      { encoding: 'utf8', env: { ...process.env, XDG_RUNTIME_DIR: folder } },
    );
    expect(copy.stderr).toBe('');
  });
  afterAll(async () => {
    await client[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test('resolves a tag over plain HTTP on this machine', async () => {
    expect(await client.resolve(testTask(), parseReference(`${server.host}/some/app:1`))).toEqual({
      mediaType: mediaTypes.ociManifest,
      digest: image.manifest.digest,
      size: image.manifest.size,
    });
  });

  test('loads the manifest by tag and by digest', async () => {
    for (const suffix of [':1', `@${image.manifest.digest}`, `:gone@${image.manifest.digest}`]) {
      const { bytes, descriptor } = await client.manifest(
        testTask(),
        parseReference(`${server.host}/some/app${suffix}`),
      );
      expect(Buffer.from(bytes)).toEqual(image.manifest.bytes);
      expect(descriptor.digest).toBe(image.manifest.digest);
    }
  });

  test('streams a blob', async () => {
    const [layer] = image.layers;
    if (layer === undefined) throw new Error('no layer');
    expect(await read(client, `${server.host}/some/app`, layer)).toEqual(layer.bytes);
  });

  test('stands for another registry where registries.conf says so', async () => {
    const text = `[[registry]]\nprefix = "docker.io"\nlocation = "${server.host}"\ninsecure = true`;
    await using other = createRegistry({ now: () => 0, config: await parseRegistriesConf(text, 'test') });
    const { digest } = await other.resolve(testTask(), parseReference('some/app:1'));
    expect(digest).toBe(image.manifest.digest);
  });

  test('names what is not there', async () => {
    await expect(client.resolve(testTask(), parseReference(`${server.host}/some/app:2`))).rejects.toThrow(
      expect.objectContaining({
        code: 'TSB_NOT_FOUND',
        message: `Cannot resolve "${server.host}/some/app:2": not found (GET http://${server.host}/v2/some/app/manifests/2 answered 404 Not Found: manifest unknown)`,
      }),
    );
    const absent = { digest: sha256('absent'), size: 6 };
    await expect(read(client, `${server.host}/some/app`, absent)).rejects.toThrow('blob unknown to registry');
  });

  test('a canceled task ends the transfer', async () => {
    const task = testTask();
    const [layer] = image.layers;
    if (layer === undefined) throw new Error('no layer');
    task.controller.abort(new Error('enough'));
    await expect(client.resolve(task, parseReference(`${server.host}/some/app:1`))).rejects.toThrow(
      expect.objectContaining({ code: 'TSB_CANCELED' }),
    );
  });
});

async function read(client: Registry, name: string, blob: { digest: Digest; size: number }): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of client.blob(testTask(), parseReference(name), blob)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
