import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mediaTypes, parseReference, type Reference } from '../../src/image/index.ts';
import { createRegistry, type PushBlob, type Registry, type RegistryOptions } from '../../src/registry/index.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';
import { type CutConnections, cutConnections } from '../support/cut-connections.ts';
import { blobOf, type TestBlob, testImage } from '../support/image.ts';
import { testTask } from '../support/task.ts';

/** An empty registry that images can be pushed to. */
export interface RegistryFixture extends AsyncDisposable {
  /** `host:port`, on this machine. */
  readonly host: string;
  /** Who gets in. */
  readonly credentials?: RegistryOptions['credentials'];
  /** It gives out only what has a name: what a tag no longer stands for is gone. */
  readonly needsNames?: boolean;
}

/** Longer than what one packet or one read takes, and without a pattern that a mistake in the order could hide in. */
const large = blobOf(
  Buffer.concat(Array.from({ length: 60_000 }, (_, at) => Buffer.from(sha256(`large ${at}`).slice(7)))),
);
const image = testImage({ layers: [[{ name: 'a', content: 'a' }], [{ name: 'b', content: 'b' }]] });
const absent = { digest: sha256('nobody ever pushed this'), size: 23 };

/** A blob as something to push, and where it was begun to be read. */
function source({ digest, size, bytes }: TestBlob, chunk = 65_536): PushBlob & { readonly opened: number[] } {
  const opened: number[] = [];
  return {
    digest,
    size,
    opened,
    *open(start) {
      opened.push(start);
      for (let at = start; at < bytes.length; at += chunk) yield bytes.subarray(at, at + chunk);
    },
  };
}

function unreadable({ digest, size }: TestBlob): PushBlob {
  return {
    digest,
    size,
    open: () => {
      throw new Error('It was read');
    },
  };
}

async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(Buffer.from(chunk));
  return Buffer.concat(all);
}

/**
 * The contract of `Registry` against a server: what is promised to whoever pushes and pulls, whatever registry answers.
 * @param start starts the server, which is empty
 */
export function registrySuite(name: string, start: () => Promise<RegistryFixture>): void {
  describe(`registry: ${name}`, () => {
    let server: RegistryFixture;
    let line: CutConnections;
    let client: Registry;
    let count = 0;
    /** A repository that nobody used. */
    const fresh = (suffix = ''): Reference => parseReference(`${server.host}/suite/repository-${count++}${suffix}`);
    /** The same by the way that breaks. */
    const behindLine = (reference: Reference): Reference => ({ ...reference, host: line.host });
    const send = (repository: Reference, ...blobs: TestBlob[]): Promise<unknown> =>
      Promise.all(blobs.map((blob) => client.pushBlob(testTask(), repository, source(blob))));
    const read = (repository: Reference, blob: { readonly digest: Digest; readonly size: number }): Promise<Buffer> =>
      bytesOf(client.blob(testTask(), repository, blob));

    beforeAll(async () => {
      server = await start();
      line = await cutConnections(server.host);
      const { credentials } = server;
      client = createRegistry({
        now: Date.now,
        limits: { backoffMs: 1, attempts: 3, chunkBytes: 1 << 20 },
        ...(credentials ? { credentials } : {}),
      });
    });
    afterAll(async () => {
      await client[Symbol.asyncDispose]();
      await line[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    });

    test('what is not there is not found, and is no other error', async () => {
      const nowhere = fresh(':1');
      await expect(client.resolve(testTask(), nowhere)).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
      await expect(client.manifest(testTask(), nowhere)).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
      await expect(read(nowhere, absent)).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
      await expect(client.blobSize(testTask(), nowhere, absent.digest)).rejects.toMatchObject({
        code: 'TSB_NOT_FOUND',
      });
      expect(await client.hasBlob(testTask(), nowhere, absent)).toBe(false);
      expect(await client.hasManifest(testTask(), nowhere, { ...absent, mediaType: mediaTypes.ociManifest })).toBe(
        false,
      );
      expect(await client.referrers(testTask(), nowhere, absent.digest)).toEqual([]);
      // In a repository that exists too.
      await send(nowhere, blobOf('something'));
      await expect(client.resolve(testTask(), nowhere)).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
      await expect(read(nowhere, absent)).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
    });

    test.each([
      ['empty', blobOf('')],
      ['of one byte', blobOf('x')],
      ['of megabytes', large],
    ])('a blob that is %s comes back as it was sent, and is said to be there', async (_, blob) => {
      const repository = fresh();
      const sent: number[] = [];
      const pushed = await client.pushBlob(testTask(), repository, source(blob), {
        onProgress: (bytes) => sent.push(bytes),
      });
      expect(pushed).toBe('sent');
      expect(sent.at(-1) ?? 0).toBe(blob.size);
      expect(sent).toEqual(sent.toSorted((a, b) => a - b));
      expect(await client.hasBlob(testTask(), repository, blob)).toBe(true);
      expect(await client.blobSize(testTask(), repository, blob.digest)).toBe(blob.size);
      // A blob is what its digest and its size say.
      expect(await client.hasBlob(testTask(), repository, { ...blob, size: blob.size + 1 })).toBe(false);
      // By their digests: `toEqual` goes through megabytes one number at a time.
      for (let times = 0; times < 2; times++) expect(sha256(await read(repository, blob))).toBe(blob.digest);
    });

    test('any bytes come back, in whatever pieces they were sent', async () => {
      const repository = fresh();
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), fc.integer({ min: 1, max: 3000 }), async (bytes, chunk) => {
          const blob = blobOf(bytes);
          await client.pushBlob(testTask(), repository, source(blob, chunk));
          expect(await read(repository, blob)).toEqual(blob.bytes);
        }),
        { numRuns: 15 },
      ); // oxfmt-ignore
    });

    test('the same blob pushed by several at a time, and once more, is there once and whole', async () => {
      const repository = fresh();
      await Promise.all(Array.from({ length: 4 }, () => send(repository, large)));
      await send(repository, large);
      expect(sha256(await read(repository, large))).toBe(large.digest);
    });

    test('a repository does not have what only another one has, and gets it by mounting, unread', async () => {
      const [from, to] = [fresh(), fresh()];
      const blob = blobOf(`mounted from ${from.path}`);
      await send(from, blob);
      expect(await client.hasBlob(testTask(), to, blob)).toBe(false);
      const mounted = await client.pushBlob(testTask(), to, unreadable(blob), { mountFrom: [from] });
      expect(mounted).toBe('mounted');
      expect(await read(to, blob)).toEqual(blob.bytes);
    });

    test('what cannot be mounted is sent', async () => {
      const [from, to] = [fresh(), fresh()];
      const blob = blobOf(`not in ${from.path}`);
      expect(await client.pushBlob(testTask(), to, source(blob), { mountFrom: [from] })).toBe('sent');
      expect(await read(to, blob)).toEqual(blob.bytes);
    });

    test('other bytes than their digest are neither kept nor handed out whole', async () => {
      const repository = fresh();
      const blob = blobOf('right bytes');
      const wrong = { ...source(blobOf('wrong bytes')), digest: blob.digest };
      await expect(client.pushBlob(testTask(), repository, wrong)).rejects.toMatchObject({
        code: expect.stringMatching(/^TSB_(DIGEST|REGISTRY)$/),
      });
      expect(await client.hasBlob(testTask(), repository, blob)).toBe(false);
      // Sizes that lie, either way.
      await send(repository, blob);
      for (const size of [blob.size - 1, blob.size + 1, 0]) {
        const got: Uint8Array[] = [];
        const reading = async (): Promise<void> => {
          for await (const chunk of client.blob(testTask(), repository, { digest: blob.digest, size })) got.push(chunk);
        };
        await expect(reading()).rejects.toMatchObject({
          code: expect.stringMatching(/^TSB_(DIGEST|REGISTRY|NETWORK)$/),
        });
        expect(Buffer.concat(got).length).toBeLessThanOrEqual(size);
      }
    });

    test('an image is found by its tag and by its digest, which wins over a tag', async () => {
      const repository = fresh();
      await send(repository, ...image.layers, image.config);
      const other = testImage({ architecture: 'arm64' });
      await send(repository, ...other.layers, other.config);
      const tagged = { ...repository, tag: 'V1.0_rc-1' };
      const descriptor = { mediaType: mediaTypes.ociManifest, digest: image.manifest.digest, size: image.manifest.size };
      const push = (reference: Reference, { bytes }: TestBlob) =>
        client.pushManifest(testTask(), reference, mediaTypes.ociManifest, bytes);
      expect(await push(tagged, image.manifest)).toEqual(descriptor);
      expect(await client.resolve(testTask(), tagged)).toEqual(descriptor);
      const found = await client.manifest(testTask(), tagged);
      expect([found.descriptor, Buffer.from(found.bytes)]).toEqual([descriptor, image.manifest.bytes]);
      // The tag moves on; what it was stays under its digest.
      if (server.needsNames) await push({ ...repository, tag: 'still-here' }, image.manifest);
      await push(tagged, other.manifest);
      expect((await client.resolve(testTask(), tagged)).digest).toBe(other.manifest.digest);
      const both = { ...tagged, digest: image.manifest.digest };
      expect(Buffer.from((await client.manifest(testTask(), both)).bytes)).toEqual(image.manifest.bytes);
      // Without a tag it is known by its digest alone.
      const elsewhere = fresh();
      await send(elsewhere, ...image.layers, image.config);
      await push(elsewhere, image.manifest);
      expect(await client.resolve(testTask(), { ...elsewhere, digest: image.manifest.digest })).toEqual(descriptor);
      await expect(client.resolve(testTask(), { ...elsewhere, tag: 'latest' })).rejects.toMatchObject({
        code: 'TSB_NOT_FOUND',
      });
    }); // oxfmt-ignore

    test('an index names manifests that are there', async () => {
      const repository = fresh(':many');
      await send(repository, ...image.layers, image.config);
      const { digest, size } = image.manifest;
      const index = blobOf({
        schemaVersion: 2,
        mediaType: mediaTypes.ociIndex,
        manifests: [{ mediaType: mediaTypes.ociManifest, digest, size, platform: { os: 'linux', architecture: 'amd64' } }],
      });
      const { host, path } = repository;
      await client.pushManifest(testTask(), { host, path }, mediaTypes.ociManifest, image.manifest.bytes);
      await client.pushManifest(testTask(), repository, mediaTypes.ociIndex, index.bytes);
      expect(await client.manifest(testTask(), repository)).toMatchObject({
        descriptor: { mediaType: mediaTypes.ociIndex, digest: index.digest, size: index.size },
      });
    }); // oxfmt-ignore

    test('a manifest whose blobs are missing is refused, with a reason of the registry', async () => {
      const repository = fresh(':1');
      await expect(
        client.pushManifest(testTask(), repository, mediaTypes.ociManifest, image.manifest.bytes),
      ).rejects.toMatchObject({
        // The status of this is 400 or 404 (distribution-spec, "Error Codes").
        code: expect.stringMatching(/^TSB_(REGISTRY|NOT_FOUND)$/),
        message: expect.stringMatching(/unknown|does not have/i),
      });
      await expect(client.resolve(testTask(), repository)).rejects.toMatchObject({ code: 'TSB_NOT_FOUND' });
    });

    test('what refers to a manifest is listed, all of it or one type', async () => {
      const repository = fresh();
      const empty = blobOf('{}');
      await send(repository, ...image.layers, image.config, empty);
      const push = ({ bytes }: TestBlob) =>
        client.pushManifest(testTask(), repository, mediaTypes.ociManifest, bytes);
      const subject = await push(image.manifest);
      const referrer = (artifactType: string): TestBlob =>
        blobOf({
          schemaVersion: 2,
          mediaType: mediaTypes.ociManifest,
          artifactType,
          config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: empty.digest, size: empty.size },
          layers: [],
          subject,
        });
      const [signature, list] = [referrer('application/x-signature'), referrer('application/x-list')];
      await push(signature);
      await push(list);
      const digests = async (artifactType?: string): Promise<readonly string[]> =>
        (await client.referrers(testTask(), repository, image.manifest.digest, artifactType)).map(({ digest }) => digest);
      expect((await digests()).toSorted()).toEqual([signature.digest, list.digest].toSorted());
      expect(await digests('application/x-list')).toEqual([list.digest]);
      expect(await digests('application/x-nothing')).toEqual([]);
      expect(await client.referrers(testTask(), repository, signature.digest)).toEqual([]);
    }); // oxfmt-ignore

    test('a download goes on where its connection broke', async () => {
      const repository = behindLine(fresh());
      await send({ ...repository, host: server.host }, large);
      const before = line.broken;
      line.cuts.push({ after: 1_500_000, from: 'server' }, { after: 1_200_000, from: 'server' });
      expect(sha256(await read(repository, large))).toBe(large.digest);
      expect(line.broken - before).toBe(2);
    });

    test('an upload gets there although its connection broke', async () => {
      const repository = behindLine(fresh());
      const before = line.broken;
      line.cuts.push({ after: 2_000_000, from: 'client' });
      const pushed = source(large);
      expect(await client.pushBlob(testTask(), repository, pushed)).toBe('sent');
      expect(line.broken - before).toBe(1);
      expect(pushed.opened.length).toBeGreaterThan(1);
      expect(sha256(await read({ ...repository, host: server.host }, large))).toBe(large.digest);
    });

    test('who gave up waits for nothing, and leaves nothing half done', async () => {
      const repository = fresh(':1');
      const canceled = testTask();
      canceled.controller.abort();
      for (const call of [
        client.resolve(canceled, repository),
        client.manifest(canceled, repository),
        client.hasBlob(canceled, repository, large),
        client.pushBlob(canceled, repository, source(large)),
        bytesOf(client.blob(canceled, repository, large)),
        client.referrers(canceled, repository, large.digest),
      ])
        await expect(call).rejects.toMatchObject({ code: 'TSB_CANCELED' });
      // In the middle.
      const task = testTask();
      const half = { ...source(large), *open(start: number) {
        yield large.bytes.subarray(start, start + 100_000);
        task.controller.abort();
        yield large.bytes.subarray(start + 100_000);
      } };
      await expect(client.pushBlob(task, repository, half)).rejects.toMatchObject({ code: 'TSB_CANCELED' });
      expect(await client.hasBlob(testTask(), repository, large)).toBe(false);
      await send(repository, large);
      expect(await client.hasBlob(testTask(), repository, large)).toBe(true);
    }); // oxfmt-ignore
  });
}
