import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mediaTypes, parseReference } from '../../src/image/index.ts';
import { createRegistry, type Registry } from '../../src/registry/index.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';
import { startRegistry } from '../support/registry.ts';
import { type ScriptedRegistry, startScriptedRegistry } from '../support/registry-script.ts';
import { testTask } from '../support/task.ts';

const subject = sha256('subject');
const API = `/v2/a/app/referrers/${subject}`;
const TAG = `/v2/a/app/manifests/${subject.replace(':', '-')}`;
const OCI = { 'content-type': mediaTypes.ociIndex };

const entry = (name: string, artifactType = 'application/x-sbom') => ({
  mediaType: mediaTypes.ociManifest,
  digest: sha256(name),
  size: 3,
  artifactType,
});
const page = (...names: readonly string[]): string => index(...names.map((name) => entry(name)));
const index = (...manifests: readonly object[]): string =>
  JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests });

let server: ScriptedRegistry;
let client: Registry;
beforeEach(async () => {
  server = await startScriptedRegistry();
  client = createRegistry({ now: () => 0, limits: { attempts: 1, backoffMs: 1 } });
});
afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const ask = async (artifactType?: string): Promise<readonly Digest[]> => {
  const reference = parseReference(`${server.host}/a/app`);
  return (await client.referrers(testTask(), reference, subject, artifactType)).map(({ digest }) => digest);
};
const asked = (): readonly string[] => server.requests.map(({ url }) => url);

describe('what refers to a manifest (distribution-spec, "Listing Referrers")', () => {
  test('is an index, whose type may have parameters', async () => {
    server.on(API, { headers: { 'content-type': `${mediaTypes.ociIndex}; charset=utf-8` }, body: page('a', 'b') });
    expect(await ask()).toEqual([sha256('a'), sha256('b')]);
    expect(asked()).toEqual([API]);
  });

  test('comes in pages, each where the one before says', async () => {
    server.on(
      API,
      { headers: { ...OCI, link: `<${API}?page=1>; rel="prev", <${API}?page=2>; rel="next"` }, body: page('a') },
      { headers: { ...OCI, link: `<?page=3>; title="the rest"; rel=next` }, body: page('b') },
      { headers: OCI, body: page('c') },
    );
    expect(await ask()).toEqual(['a', 'b', 'c'].map(sha256));
    expect(asked()).toEqual([API, `${API}?page=2`, `${API}?page=3`]);
  });

  test('is filtered here, whatever the registry says that it did', async () => {
    const body = index(entry('sbom'), entry('signature', 'application/x-signature'), { ...entry('plain'), artifactType: undefined }); // prettier-ignore
    server.on(API, { headers: { ...OCI, 'oci-filters-applied': 'artifactType' }, body });
    expect(await ask('application/x-signature')).toEqual([sha256('signature')]);
    expect(asked()).toEqual([`${API}?artifactType=application%2Fx-signature`]);
  });

  test.each([404, 405])('is under a tag where a registry has no API and says %d', async (status) => {
    server.on(API, { status });
    server.on(TAG, { headers: OCI, body: page('a') });
    expect(await ask()).toEqual([sha256('a')]);
  });

  test('is under a tag where a page for people is the answer', async () => {
    server.on(API, { headers: { 'content-type': 'text/html' }, body: '<html>Welcome</html>' });
    server.on(TAG, { headers: OCI, body: page('a') });
    expect(await ask()).toEqual([sha256('a')]);
  });

  test('is nothing where there is neither', async () => {
    expect(await ask()).toEqual([]);
    expect(asked()).toEqual([API, TAG]);
  });
});

describe('the list under the tag, where two write it at the same time', () => {
  const subjectOf = { mediaType: mediaTypes.ociManifest, digest: subject, size: 7 };
  const artifact = (name: string): Buffer => {
    const config = { mediaType: 'application/vnd.oci.empty.v1+json', digest: sha256('{}'), size: 2 };
    const document = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, artifactType: name, config, layers: [] };
    return Buffer.from(JSON.stringify({ ...document, subject: subjectOf }));
  };
  const push = (registry: Registry, host: string, name: string) =>
    registry.pushManifest(testTask(), parseReference(`${host}/a/app`), mediaTypes.ociManifest, artifact(name));

  test('has both: who was overwritten sees that, and adds itself again', async () => {
    const bytes = artifact('mine');
    server.on(`/v2/a/app/manifests/${sha256(bytes)}`, { status: 201 });
    server.on(`PUT ${TAG}`, { status: 201 });
    const mine = { mediaType: mediaTypes.ociManifest, digest: sha256(bytes), size: bytes.length };
    server.on(
      `GET ${TAG}`,
      { status: 404 },
      { headers: OCI, body: page('theirs') },
      { headers: OCI, body: index(entry('theirs'), mine) },
    );
    await push(client, server.host, 'mine');
    const lists = server.requests
      .filter(({ method, url }) => method === 'PUT' && url === TAG)
      .map(({ body }) =>
        (JSON.parse(body) as { manifests: { digest: Digest }[] }).manifests.map(({ digest }) => digest),
      );
    expect(lists).toEqual([[mine.digest], [sha256('theirs'), mine.digest]]);
  });

  test('is given up when it never keeps what is written', async () => {
    server.on(`/v2/a/app/manifests/${sha256(artifact('mine'))}`, { status: 201 });
    server.on(`PUT ${TAG}`, { status: 201 });
    server.on(`GET ${TAG}`, { headers: OCI, body: page('theirs') });
    await expect(push(client, server.host, 'mine')).rejects.toThrow(/Cannot write the list .*others write it/);
  });

  test('has all of eight, in a real registry without the API', async () => {
    await using registry = await startRegistry();
    const names = Array.from({ length: 8 }, (_, at) => `application/x-${at}`);
    const config = { digest: sha256('{}'), size: 2, open: () => [Buffer.from('{}')] };
    await client.pushBlob(testTask(), parseReference(`${registry.host}/a/app`), config);
    await Promise.all(
      names.map(async (name) => {
        await using own = createRegistry({ now: Date.now });
        await push(own, registry.host, name);
      }),
    );
    const all = await client.referrers(testTask(), parseReference(`${registry.host}/a/app`), subject);
    expect(new Set(all.map(({ artifactType }) => artifactType))).toEqual(new Set(names));
  });

  test('names each once, whatever others wrote into it', async () => {
    server.on(TAG, { headers: OCI, body: page('a', 'b', 'a') });
    expect(await ask()).toEqual([sha256('a'), sha256('b')]);
  });
});

describe('a list that is not whole is an error, since a signature may be in the rest', () => {
  const link = `<${API}?page=2>; rel="next"`;

  test.each<[string, Parameters<ScriptedRegistry['on']>[1]]>([
    ['that is not there', { status: 404 }],
    ['that is for people', { headers: { 'content-type': 'text/html' }, body: '<html></html>' }],
    ['that may not be read', { status: 403 }],
    ['that is cut off', { headers: OCI, body: page('b').slice(0, -2) }],
    ['that is no index', { headers: OCI, body: '{"schemaVersion":2,"manifests":{}}' }],
  ])('with a page %s', async (_what, second) => {
    server.on(API, { headers: { ...OCI, link }, body: page('a') }, second);
    server.on(TAG, { headers: OCI, body: page('other') });
    await expect(ask()).rejects.toHaveProperty('code');
    expect(asked()).not.toContain(TAG);
  });

  test('that goes on at another server, which is not asked', async () => {
    await using other = await startScriptedRegistry();
    const headers = { ...OCI, link: `<http://${other.host}${API}>; rel="next"` };
    server.on(API, { headers, body: page('a') });
    await expect(ask()).rejects.toThrow('its next page is on another server');
    expect(other.requests).toEqual([]);
  });

  test('that has no end', async () => {
    server.on(API, { headers: { ...OCI, link }, body: page('a') });
    await expect(ask()).rejects.toThrow('the list has more than 20 pages');
  });

  test('that the registry fails to give', async () => {
    server.on(API, { status: 500 });
    await expect(ask()).rejects.toMatchObject({ code: 'TSB_REGISTRY' });
    expect(asked()).toEqual([API]);
  });
});
