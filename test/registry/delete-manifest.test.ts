import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManifestRemover, type RegistryOptions } from '../../src/registry/index.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';
import { type ScriptedRegistry, startScriptedRegistry } from '../support/registry-script.ts';
import { testTask } from '../support/task.ts';

const DIGEST = sha256('a manifest');
const PATH = `/v2/some/app/manifests/${DIGEST}`;

let server: ScriptedRegistry;
beforeEach(async () => {
  server = await startScriptedRegistry();
});
afterEach(() => server[Symbol.asyncDispose]());

async function remove(more: Partial<RegistryOptions> = {}, task = testTask(), digest: Digest = DIGEST): Promise<void> {
  const options = { now: () => 0, limits: { attempts: 1, backoffMs: 1 }, ...more };
  await using remover = new ManifestRemover({ host: server.host, path: 'some/app' }, options);
  await remover.remove(task, digest);
}

describe('a manifest of a registry is deleted', () => {
  test.each([200, 202, 404])('and an answer of %d says that it is not there any more', async (status) => {
    server.on(`DELETE ${PATH}`, { status });
    await remove();
    const sent = server.requests.filter(({ method }) => method === 'DELETE');
    expect(sent.map(({ url, body }) => [url, body])).toEqual([[PATH, '']]);
  });

  test('with a token for pulling, pushing and deleting, where the registry wants one', async () => {
    const realm = `http://${server.host}/token`;
    server.on(
      `DELETE ${PATH}`,
      { status: 401, headers: { 'www-authenticate': `Bearer realm="${realm}",service="s"` } },
      { status: 202 },
    );
    server.on('/token', { body: JSON.stringify({ token: 'abc' }) });
    await remove();
    const asked = server.requests.find(({ url }) => url.startsWith('/token'));
    expect(new URL(asked?.url ?? '', realm).searchParams.get('scope')).toBe('repository:some/app:pull,push,delete');
    expect(server.requests.at(-1)?.headers.authorization).toBe('Bearer abc');
  });

  test('again, where the registry was too busy', async () => {
    server.on(`DELETE ${PATH}`, { status: 503 }, { status: 202 });
    await remove({ limits: { attempts: 3, backoffMs: 1 } });
    expect(server.requests.filter(({ method }) => method === 'DELETE')).toHaveLength(2);
  });
});

describe('what is not deleted is said to be so', () => {
  test.each([400, 405])('by a registry that deletes nothing (%d), with what would change that', async (status) => {
    server.on(`DELETE ${PATH}`, { status });
    await expect(remove()).rejects.toThrow(
      expect.objectContaining({
        code: 'TSB_REGISTRY',
        message: `Cannot delete ${DIGEST} of "${server.host}/some/app": the registry deletes nothing (${status})`,
        hint: expect.stringContaining('REGISTRY_STORAGE_DELETE_ENABLED=true') as string,
      }),
    );
  });

  test.each([
    [403, 'denied'],
    [500, 'broken'],
  ])('by an answer of %d, in the words of the registry', async (status, message) => {
    server.on(`DELETE ${PATH}`, { status, body: JSON.stringify({ errors: [{ code: 'X', message }] }) });
    await expect(remove()).rejects.toThrow(
      expect.objectContaining({
        message: expect.stringMatching(new RegExp(`^Cannot delete .*${status}.*${message}`, 's')) as string,
      }),
    );
  });

  test('when the task ends before', async () => {
    const task = testTask();
    task.controller.abort(new Error('enough'));
    await expect(remove({}, task)).rejects.toThrow(expect.objectContaining({ code: 'TSB_CANCELED' }));
    expect(server.requests).toEqual([]);
  });
});
