import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Descriptor, parseReference, type Repository } from '../../src/image/index.ts';
import { createRegistry, type Registry, RepositoryWriters } from '../../src/registry/index.ts';
import { type Copy, planImage, planReferrers, type Selection, toRegistry } from '../../src/transfer/index.ts';
import type { Digest } from '../../src/util/index.ts';
import { memoryContent } from '../support/memory-content.ts';
import { testTask } from '../support/task.ts';
import { startUploadRegistry, type UploadRegistry } from '../support/upload-registry.ts';
import { manifestDescriptor, wholeImage } from '../support/whole-image.ts';

const image = wholeImage('to-registry');
const { signature, sbom, root } = image;

let server: UploadRegistry;
let client: Registry;
beforeEach(async () => {
  server = await startUploadRegistry();
  client = createRegistry({ now: () => 0, limits: { attempts: 1, backoffMs: 1 } });
});
afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

interface Copying {
  readonly path?: string;
  readonly tags?: readonly string[];
  readonly selection?: Selection;
  readonly withReferrers?: boolean;
  readonly content?: ReturnType<typeof memoryContent>;
  readonly mountFrom?: (digest: Digest) => readonly Repository[];
  readonly task?: ReturnType<typeof testTask>;
}

/** Copies the image, each time by a client that knows nothing of what was copied before. */
async function copy({
  path = 'app',
  tags = ['v1'],
  withReferrers = true,
  mountFrom = () => [],
  ...given
}: Copying = {}) {
  const { selection = { what: 'all' }, task = testTask() } = given;
  const content = given.content ?? memoryContent(...image.blobs, ...signature.blobs, ...sbom.blobs);
  const source = {
    root,
    content,
    what: 'image "app"',
    referrers: async (digest: Digest): Promise<readonly Descriptor[]> => {
      if (digest === root.digest) return [manifestDescriptor(signature.manifest)];
      return digest === image.arm64.manifest.digest ? [manifestDescriptor(sbom.manifest)] : [];
    },
  };
  const plan = await planImage(source, selection);
  const shown: (readonly [id: string, done: boolean])[] = [];
  const planned: Copy = {
    image: plan,
    referrers: withReferrers ? await planReferrers(source, plan) : [],
    what: source.what,
    status: (id, _current, _total, completed = false) => void shown.push([id, completed]),
  };
  const writer = new RepositoryWriters(client).of(parseReference(`${server.host}/${path}`));
  return { sent: await toRegistry({ writer, tags, mountFrom })(task, planned), shown };
}

const manifestsOf = (path: string): readonly string[] =>
  [...server.manifests.keys()].filter((key) => key.startsWith(`${path}:`) || key.startsWith(`${path}@`));
/** Manifests in the order in which they were written, by tag or digest. */
const written = (): readonly string[] =>
  server.requests.flatMap(({ method, path }) => (method === 'PUT' ? (/\/manifests\/(.*)$/.exec(path)?.[1] ?? []) : []));

describe('a copy in a registry', () => {
  test('has its tag when all that refers to it is there, and all parts before what names them', async () => {
    const { sent } = await copy({ tags: ['v1', 'latest'] });
    const order = written();
    const at = (reference: string): number => order.lastIndexOf(reference);
    for (const part of [image.amd64.manifest, image.arm64.manifest, image.attestation.manifest])
      expect(order.indexOf(part.digest)).toBeLessThan(order.indexOf(root.digest));
    for (const { manifest } of [signature, sbom]) {
      expect(order).toContain(manifest.digest);
      expect(at(manifest.digest)).toBeLessThan(order.indexOf('v1'));
    }
    expect(order.slice(-2)).toEqual(['v1', 'latest']);
    expect(sent.sent.length).toBeGreaterThan(5);
    expect(sent).toMatchObject({ there: [], mounted: [] });
  });

  test('counts each blob once, also what several manifests have', async () => {
    const { sent, shown } = await copy();
    const digests = sent.sent.map(({ digest }) => digest);
    // The empty config of all three artifacts among them.
    expect(new Set(digests).size).toBe(digests.length);
    expect(digests.toSorted()).toEqual(
      [...server.blobs.keys()].map((key) => key.slice(key.indexOf('@') + 1)).toSorted(),
    );
    for (const digest of digests) expect(shown).toContainEqual([`copying ${digest}`, true]);
    expect(shown.at(-1)).toEqual([`manifest ${root.digest}`, true]);
  });

  test('without tags is found by its digest, and nothing has a name', async () => {
    await copy({ tags: [] });
    expect(written().every((reference) => reference.startsWith('sha256:'))).toBe(true);
    expect(written()).toContain(root.digest);
  });

  test('alone needs its manifests but once', async () => {
    await copy({ withReferrers: false });
    expect(written()).toHaveLength(4);
    expect(written().at(-1)).toBe('v1');
  });

  test('sends nothing that is there, and gives the new tag', async () => {
    const first = await copy({ withReferrers: false });
    server.requests.length = 0;
    const { sent } = await copy({ withReferrers: false, tags: ['v2'] });
    expect(sent.sent).toEqual([]);
    expect(sent.there.map(({ digest }) => digest).toSorted()).toEqual(
      first.sent.sent.map(({ digest }) => digest).toSorted(),
    );
    expect(server.requests.some(({ method, path }) => method === 'POST' || path.includes('/blobs/uploads'))).toBe(
      false,
    );
    expect(written().at(-1)).toBe('v2');
  });

  test('takes from another repository what that has', async () => {
    await copy({ path: 'base' });
    server.requests.length = 0;
    const base = parseReference(`${server.host}/base`);
    const { sent, shown } = await copy({ path: 'app', mountFrom: () => [base] });
    expect(sent.sent).toEqual([]);
    expect(sent.mounted.length).toBeGreaterThan(5);
    for (const { digest } of sent.mounted) expect(shown).toContainEqual([`mounted ${digest}`, true]);
    expect(
      server.requests.every(
        ({ method, bytes, path }) => method !== 'PUT' || path.includes('/manifests/') || bytes === 0,
      ),
    ).toBe(true);
  });

  test('of the index alone sends nothing that it names', async () => {
    const alone = { selection: { what: 'index' }, withReferrers: false } as const;
    // It is for the registry to say whether it takes an index whose images it does not have.
    await expect(copy(alone)).rejects.toMatchObject({ code: 'TSB_REGISTRY' });
    await copy({ tags: [], withReferrers: false });
    server.requests.length = 0;
    const { sent } = await copy(alone);
    expect(sent).toEqual({ there: [], mounted: [], sent: [] });
    expect(server.requests.map(({ method }) => method)).toEqual(['PUT']);
    expect(written()).toEqual(['v1']);
  });

  test('whose blob is another one than was said gets no tag, and the blob is not there', async () => {
    const content = memoryContent(...image.blobs, ...signature.blobs, ...sbom.blobs);
    const [layer] = image.amd64.layers;
    const other = Buffer.alloc(layer?.size ?? 0, 'x');
    content.add({ digest: layer?.digest ?? root.digest, bytes: other });
    await expect(copy({ content })).rejects.toMatchObject({ code: 'TSB_DIGEST' });
    expect(written()).toEqual([]);
    expect(server.blobs.has(`app@${layer?.digest}`)).toBe(false);
    expect(manifestsOf('app')).toEqual([]);
  });

  test('that lacks a part of what refers to it gets no tag either', async () => {
    const lost = signature.blobs[0];
    server.fault = ({ query }) => (query.get('digest') === lost?.digest ? { status: 507 } : undefined);
    await expect(copy()).rejects.toMatchObject({ code: 'TSB_REGISTRY' });
    expect(written()).not.toContain('v1');
  });

  test('that is canceled has no tag', async () => {
    const task = testTask();
    server.fault = ({ method }) => {
      if (method === 'PUT') task.controller.abort(new Error('enough'));
      return undefined;
    };
    await expect(copy({ task })).rejects.toMatchObject({ code: 'TSB_CANCELED' });
    expect(written()).not.toContain('v1');
  });
});
