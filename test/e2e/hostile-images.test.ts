import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRegistry, RepositoryWriter, sendImage } from '../../src/registry/index.ts';
import { mediaTypes, parseReference } from '../../src/image/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { describeAsEveryone, onceAsUser, useBench } from '../support/e2e.ts';
import { blobOf, tar, type TestBlob, testImage } from '../support/image.ts';
import { memoryContent } from '../support/memory-content.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { type ScriptedRegistry, startScriptedRegistry } from '../support/registry-script.ts';
import { testTask } from '../support/task.ts';

const BAD_DIGESTS: Readonly<Record<string, string>> = {
  'a path': 'sha256:../../../x',
  'upper case': `sha256:${'AB'.repeat(32)}`,
  '63 digits': `sha256:${'a'.repeat(63)}`,
  sha512: `sha512:${'ab'.repeat(64)}`,
  'a short sha512': 'sha512:abc',
  md5: `md5:${'a'.repeat(32)}`,
  'with blanks': 'a b:c',
};

describeAsEveryone('hostile images', (who) => {
  const use = useBench(who);
  let registry: TestRegistry;
  let scripted: ScriptedRegistry;
  let count = 0;
  beforeAll(async () => {
    registry = await startRegistry();
    scripted = await startScriptedRegistry();
  });
  afterAll(async () => {
    await scripted[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  });

  /** Files of the store that are no blobs, directories of layers or the index. Links that the layouts have out of it are not followed. */
  const strangers = (): readonly string[] => {
    const names = ['(', '-name', '*evil*', '-o', '-name', '*canary*', ')'];
    const found = execFileSync('find', [use.bench.dir, ...names], { encoding: 'utf8' });
    return found.split('\n').filter((line) => line !== '');
  };
  const failure = async (args: readonly string[]): Promise<string> => {
    const { code, err } = await use.bench.tsbuild(args);
    expect(code).toBeGreaterThan(0);
    expect(err).toMatch(/^error: |\nerror: /);
    expect(err).not.toContain('fault of tsbuild');
    expect(strangers()).toEqual([]);
    return err;
  };

  // What is refused as text, before anything is done.
  const once = onceAsUser(who);

  describe('digests that are none (REG-05)', () => {
    for (const [name, digest] of Object.entries(BAD_DIGESTS)) {
      (name === 'a path' ? test : once)(
        `${name} is refused in a reference, a manifest and a config, before anything is asked for`,
        async () => {
          const image = testImage();
          const manifest = JSON.parse(image.manifest.bytes.toString()) as Record<string, object>;
          const layer = (manifest['layers'] as unknown as object[])[0];
          const places = [
            { ...manifest, layers: [{ ...layer, digest }] },
            { ...manifest, config: { ...manifest['config'], digest } },
            { schemaVersion: 2, manifests: [{ mediaType: mediaTypes.ociManifest, digest, size: 5 }] },
          ];
          scripted.on(`/v2/x/blobs/${image.config.digest}`, { body: image.config.bytes });
          for (const [index, place] of places.entries()) {
            const body = blobOf(place);
            const type = index === 2 ? mediaTypes.ociIndex : mediaTypes.ociManifest;
            const headers = { 'content-type': type, 'docker-content-digest': body.digest };
            for (const path of [String(index), body.digest])
              scripted.on(`/v2/x/manifests/${path}`, { headers, body: body.bytes });
            const context = use.bench.context(`FROM ${scripted.host}/x:${index}\nCOPY Dockerfile /\n`, {});
            expect(await failure(['build', context])).toMatch(/digest|sha256/);
          }
          expect(await failure(['run', `${scripted.host}/x@${digest}`, 'true'])).toMatch(/invalid reference format/);
          expect(await failure(['push', `x@${digest}`])).toMatch(/invalid reference format/);
          const asked = scripted.requests.map(({ url }) => decodeURIComponent(url));
          expect(asked.filter((url) => url.includes(digest))).toEqual([]);
        },
      );
    }
  });

  describe('names that are none (REG-18)', () => {
    const names = [
      'a b', 'Foo', `x:${'t'.repeat(129)}`, 'x:../y', 'x@sha256:', 'bücher.example/x', 'localhost:99999/x', 'x\r\nHost: evil',
      '../x', 'host.example/../x', 'http://host.example/x',
    ]; // oxfmt-ignore
    beforeAll(async () => {
      await use.bench.ok(['build', '-q', '-t', 'fine:1', use.bench.context('FROM scratch\nCOPY Dockerfile /\n', {})]);
    });
    for (const name of names) {
      once(`${JSON.stringify(name.slice(0, 30))} is refused wherever an image is named`, async () => {
        for (const args of [
          ['build', '-t', name, '.'],
          ['build', '--push', '-t', name, '.'],
          ['build', '-o', `type=registry,"name=${name}"`, '.'],
          ['push', 'fine:1', name],
          ['push', name],
        ])
          expect(await failure(args)).toMatch(/invalid|cannot|Cannot/);
      });
    }

    test('names within an image do not become names here', async () => {
      const base = testImage({ config: { config: { Labels: { 'org.opencontainers.image.ref.name': 'evil:1' } } } });
      const named = await push(base.blobs, base.manifest, `${registry.host}/named:1`);
      await use.bench.ok(['build', '-t', 'mine:1', use.bench.context(`FROM ${named}\nCOPY Dockerfile /\n`, {})]);
      const { out } = await use.bench.ok(['images']);
      expect(out).toContain('mine:1');
      expect(out).not.toContain('evil');
    });
  });

  /** Puts blobs and a manifest into the registry, whatever they say. */
  async function push(blobs: readonly TestBlob[], manifest: TestBlob, name: string): Promise<string> {
    await using client = createRegistry({ now: () => Date.now() });
    const { host, path, tag = 'latest' } = parseReference(name);
    await sendImage(testTask(), new RepositoryWriter(client, { host, path }), {
      content: memoryContent(...blobs, manifest),
      root: { mediaType: mediaTypes.ociManifest, digest: manifest.digest, size: manifest.size },
      tags: [tag],
      what: 'image',
    });
    return name;
  }

  test('a layer whose content is another one than the config says is refused when it is unpacked (REG-20)', async () => {
    const lie = testImage({ config: { rootfs: { type: 'layers', diff_ids: [sha256('something else')] } } });
    const name = await push(lie.blobs, lie.manifest, `${registry.host}/lie:1`);
    const context = use.bench.context(`FROM ${name}\nCOPY hello /hello2\n`, { hello: 'x' });
    expect(await failure(['build', context])).toMatch(/sha256/);
    expect(await failure(['run', name, 'true'])).toMatch(/sha256/);
    expect(await use.bench.damage(use.bench.store)).toEqual([]);
  });

  test('titles of layers and artifacts are no paths (REG-25)', async () => {
    const image = testImage();
    const title = { 'org.opencontainers.image.title': '../../../canary' };
    const document = JSON.parse(image.manifest.bytes.toString()) as { layers: object[]; config: object };
    const manifest = blobOf({
      ...document,
      annotations: title,
      layers: document.layers.map((layer) => ({ ...layer, annotations: title })),
      config: { ...document.config, annotations: title },
    });
    const name = await push(image.blobs, manifest, `${registry.host}/titled:1`);
    const context = use.bench.context(`FROM ${name}\nCOPY Dockerfile /\n`, {});
    await use.bench.ok(['build', '-t', 'titled:1', '-o', 'type=oci,dest=titled.tar', context]);
    await use.bench.ok(['build', '-o', `type=oci,tar=false,dest=titled-${count}`, context]);
    await use.bench.ok(['build', '-o', `type=local,dest=files-${count++}`, context]);
    await use.bench.ok(['save', '-o', 'saved.tar', 'titled:1']);
    expect(strangers()).toEqual([]);
  });

  describe('layouts that are none (REG-26)', () => {
    // One that no store has yet.
    const image = testImage({ layers: [[{ name: 'hello', content: `layout of ${who.name}` }]] });
    const root = { mediaType: mediaTypes.ociManifest, digest: image.manifest.digest, size: image.manifest.size };
    const blobName = (digest: string) => `blobs/sha256/${digest.slice('sha256:'.length)}`;
    const files = (): Record<string, string | Uint8Array> => ({
      'oci-layout': '{"imageLayoutVersion":"1.0.0"}',
      'index.json': JSON.stringify({ schemaVersion: 2, manifests: [root] }),
      ...Object.fromEntries(image.blobs.map(({ digest, bytes }) => [blobName(digest), bytes])),
    });
    const layer = blobName(image.layers[0]?.digest ?? '');

    const cases: Readonly<Record<string, (dir: string) => void>> = {
      'a blob that is a link out of it': (dir) => {
        rmSync(join(dir, layer));
        symlinkSync('/etc/passwd', join(dir, layer));
      },
      'a folder of blobs that is a link': (dir) => {
        rmSync(join(dir, 'blobs/sha256'), { recursive: true });
        symlinkSync('/etc', join(dir, 'blobs/sha256'));
      },
      'an index of a gigabyte': (dir) => truncateSync(join(dir, 'index.json'), 1 << 30),
      'a blob that is missing': (dir) => rmSync(join(dir, layer)),
      'a blob that is a directory': (dir) => {
        rmSync(join(dir, layer));
        mkdirSync(join(dir, layer));
      },
      'a version from the future': (dir) => writeFileSync(join(dir, 'oci-layout'), '{"imageLayoutVersion":"2.0.0"}'),
    };
    for (const [name, spoil] of Object.entries(cases)) {
      test(`${name} is refused, by import and by FROM`, async () => {
        const dir = use.bench.write(`layout-${count++}`, files());
        spoil(dir);
        await failure(['import', dir, '-t', 'layout:1']);
        const context = use.bench.context('FROM layout\nCOPY hello /hello2\n', { hello: 'x' });
        await failure(['build', '--build-context', `layout=oci-layout://${dir}`, context]);
        expect((await use.bench.ok(['images'])).out).not.toContain('layout:1');
      });
    }

    test('names of members of an archive are no paths', async () => {
      const members = Object.entries(files()).map(([name, content]) => ({ name, content }));
      const bad = [
        ...members,
        { name: '../../evil', content: 'x' },
        { name: '/tmp/evil-canary', content: 'x' },
        { name: 'blobs/../../evil', content: 'x' },
      ];
      for (const bytes of [tar(bad), gzipSync(tar(bad))]) {
        await use.bench.ok(['import', '-', '-t', 'members:1'], { stdin: bytes });
        expect(strangers()).toEqual([]);
      }
    });
  });
});
