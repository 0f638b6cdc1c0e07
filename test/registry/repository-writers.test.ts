import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseReference } from '../../src/image/index.ts';
import { createRegistry, type Registry, RepositoryWriters } from '../../src/registry/index.ts';
import { blobOf, type TestBlob } from '../support/image.ts';
import { testTask } from '../support/task.ts';
import { startUploadRegistry, type UploadRegistry } from '../support/upload-registry.ts';

let server: UploadRegistry;
let client: Registry;
let writers: RepositoryWriters;
beforeEach(async () => {
  server = await startUploadRegistry();
  client = createRegistry({ now: () => 0, limits: { attempts: 2, backoffMs: 1 } });
  writers = new RepositoryWriters(client);
});
afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const at = (path: string) => writers.of(parseReference(`${server.host}/${path}`));
const source = ({ digest, size, bytes }: TestBlob) => ({
  digest,
  size,
  open: (start: number) => [bytes.subarray(start)],
});
const [one, two, three] = [blobOf('one'), blobOf('two'), blobOf('three')];
/** What was asked since the last time, by repository. */
const asked = (): readonly string[] =>
  server.requests.splice(0).map(({ method, path }) => `${method} ${path.slice('/v2/'.length).split('/blobs')[0]}`);

describe('the writers of a build', () => {
  test('ask for a blob once and send it once, whoever needs it in a repository', async () => {
    const outcomes = await Promise.all([at('app'), at('app')].map((writer) => writer.blob(testTask(), source(one))));
    expect(outcomes).toEqual(['sent', 'sent']);
    expect(asked()).toEqual(['HEAD app', 'POST app', 'PUT app']);
    await at('app').blob(testTask(), source(one));
    expect(asked()).toEqual([]);
  });

  test('have one repository take from another what that got, with one request', async () => {
    await at('app').blob(testTask(), source(one));
    asked();
    expect(await at('cache').blob(testTask(), source(one))).toBe('mounted');
    expect(asked()).toEqual(['POST cache']);
    expect(server.blobs.get(`cache@${one.digest}`)?.equals(one.bytes)).toBe(true);
    // What nobody has seen is asked for, and sent.
    expect(await at('cache').blob(testTask(), source(two))).toBe('sent');
    expect(asked()).toEqual(['HEAD cache', 'POST cache', 'PUT cache']);
  });

  test('do not insist where repositories share nothing, and leave no upload behind', async () => {
    server.mounts = false;
    // There from an earlier build: no byte of it is sent.
    server.blobs.set(`cache@${one.digest}`, one.bytes);
    for (const blob of [one, two, three]) await at('app').blob(testTask(), source(blob));
    asked();
    expect(await at('cache').blob(testTask(), source(one))).toBe('there');
    expect(asked()).toEqual(['POST cache', 'DELETE cache', 'HEAD cache']);
    expect(await at('cache').blob(testTask(), source(two))).toBe('sent');
    expect(asked()).toEqual(['HEAD cache', 'POST cache', 'PUT cache']);
    expect(server.uploads.size).toBe(0);
  });

  test.each([401, 403, 404, 500])('go on when a mount is answered with %d', async (status) => {
    await at('app').blob(testTask(), source(one));
    server.fault = ({ query }) => (query.has('mount') ? { status } : undefined);
    expect(await at('cache').blob(testTask(), source(one))).toBe('sent');
    expect(server.blobs.get(`cache@${one.digest}`)?.equals(one.bytes)).toBe(true);
  });

  test('do not take from another registry, or what did not get there', async () => {
    server.fault = ({ method }) => (method === 'PUT' ? { status: 403 } : undefined);
    await expect(at('app').blob(testTask(), source(one))).rejects.toThrow(/access denied/);
    server.fault = () => undefined;
    await using other = await startUploadRegistry();
    asked();
    await writers.of(parseReference(`${other.host}/app`)).blob(testTask(), source(one));
    expect(await at('cache').blob(testTask(), source(one))).toBe('sent');
    expect(asked()).toEqual(['HEAD cache', 'POST cache', 'PUT cache']);
  });

  test('tell everybody who watches what is sent', async () => {
    const seen: [string, number][] = [];
    for (const name of ['a', 'b']) at('app').watch((_blob, sent) => seen.push([name, sent]));
    await at('app').blob(testTask(), source(one));
    expect(seen).toEqual([
      ['a', 3],
      ['b', 3],
    ]);
  });
});
