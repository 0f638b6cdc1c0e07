import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { collectNames, compileOptions, withDockerfile } from '../../../src/engine/compile/compile.ts';
import { type BuildRequest, emptyRequest } from '../../../src/engine/request.ts';
import type { Session } from '../../../src/engine/session.ts';
import { SourcePolicies } from '../../../src/source-policy/index.ts';
import { testTask } from '../../support/task.ts';

let dir = '';
beforeEach(() => void (dir = fs.mkdtempSync(join(tmpdir(), 'tsbuild-compile-'))));
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }));

const DIGEST = `sha256:${'a'.repeat(64)}`;
const amd64 = { os: 'linux', architecture: 'amd64' } as const;
const request = (more: Partial<BuildRequest> = {}): BuildRequest => ({ ...emptyRequest, platforms: [amd64], ...more });
/** A session whose registries and web servers answer with what is given. */
const session = (answers: { readonly file?: { readonly path: string; readonly size: number } } = {}): Session & { readonly asked: string[] } => {
  const asked: string[] = [];
  return {
    asked,
    now: () => 0,
    remote: {
      temporary: () => fs.mkdtempSync(join(dir, 'private-')),
      http: () => ({ file: (_task: unknown, _vertex: unknown, { url }: { url: string }) => (asked.push(url), Promise.resolve(answers.file)) }),
    },
    images: { resolve: (_task: unknown, name: string, { architecture }: typeof amd64) => (asked.push(`${name} ${architecture}`), Promise.resolve({ digest: DIGEST })) },
  } as unknown as Session & { readonly asked: string[] };
}; // oxfmt-ignore

describe('what the frontend is told of a request', () => {
  test('without options it is told nothing that would have to be hashed', () => {
    const options = compileOptions(request(), new Map());
    expect(options).toMatchObject({ context: { kind: 'empty' }, imageResolveMode: 'default', platforms: [amd64] });
    for (const absent of ['dockerfile', 'filename', 'target', 'noCache', 'network', 'hostname', 'shmSize', 'linuxResources'])
      expect(options).not.toHaveProperty(absent); // oxfmt-ignore
  });

  test.each<[string, Partial<BuildRequest>, object]>([
    ['a directory', { contextDir: '/home/me/src' }, { context: { kind: 'local', name: 'context' } }],
    [
      'a repository',
      { context: { kind: 'remote', url: 'https://git.test/x.git' } },
      { context: { kind: 'remote', url: 'https://git.test/x.git' } },
    ],
    [
      'an archive',
      { context: { kind: 'archive', data: (async function* () {})() } },
      { context: { kind: 'archive', local: 'context', path: 'context' } },
    ],
    ['the text of a Dockerfile', { dockerfile: { name: 'x', text: 'FROM a' } }, { dockerfile: { text: 'FROM a' } }],
    ['a Dockerfile of the context', { dockerfile: { inContext: 'sub/Dockerfile' } }, { filename: 'sub/Dockerfile' }],
    [
      'a Dockerfile of another directory',
      { dockerfile: { dir: '/etc/build', name: 'D' } },
      { dockerfileLocal: 'dockerfile', filename: 'D' },
    ],
    ['stages that are run again', { noCacheStages: ['a', 'b'] }, { noCache: ['a', 'b'] }],
    ['all that is run again', { noCache: true, noCacheStages: ['a'] }, { noCache: true }],
    ['newer images', { pull: true }, { imageResolveMode: 'pull' }],
    ['no network', { network: 'none' }, { network: 'none' }],
    ['hosts', { hostname: 'h', shmSize: 7 }, { hostname: 'h', shmSize: 7 }],
  ])('%s', (_what, more, wanted) => {
    expect(compileOptions(request(more), new Map())).toMatchObject(wanted);
  });

  test('the usual network is the same as none said', () => {
    expect(compileOptions(request({ network: 'default' }), new Map())).not.toHaveProperty('network');
  });

  test('no path of the machine, which would be part of keys', () => {
    const all = { contextDir: '/home/me/src', dockerfile: { dir: '/home/me/etc', name: 'D' } };
    expect(JSON.stringify(compileOptions(request(all), new Map()))).not.toContain('/home');
  });

  test('the time of the image is an argument, and one that was typed goes before it', () => {
    const argsOf = (more: Partial<BuildRequest>) => [...compileOptions(request(more), new Map()).buildArgs];
    expect(argsOf({ sourceDateEpoch: 7 })).toEqual([['SOURCE_DATE_EPOCH', '7']]);
    const typed = new Map([['SOURCE_DATE_EPOCH', '8']]);
    expect(argsOf({ sourceDateEpoch: 7, buildArgs: typed })).toEqual([['SOURCE_DATE_EPOCH', '8']]);
    // The request is somebody else's.
    expect([...typed]).toEqual([['SOURCE_DATE_EPOCH', '8']]);
  });
});

describe('names that stand for places of the machine', () => {
  const collect = (more: Partial<BuildRequest>, from = session()) => collectNames(from, testTask(), request(more));
  const contexts = (...pairs: readonly (readonly [string, string])[]) => ({ namedContexts: new Map(pairs) });

  test('of the context and the Dockerfile’s directory', async () => {
    const { names } = await collect({ contextDir: '/src', dockerfile: { dir: '/etc/build', name: 'D' } });
    expect([...names.locals]).toEqual([
      ['context', '/src'],
      ['dockerfile', '/etc/build'],
    ]);
    expect([...(await collect({})).names.locals]).toEqual([]);
  });

  test('of further contexts: directories and layouts get one, what has no place is as it is', async () => {
    const from = session();
    const { names, namedContexts } = await collect(
      contexts(
        ['files', '/data'],
        ['alpine', 'docker-image://alpine:3'],
        ['one', 'oci-layout:///layouts/one:tag'],
        ['two', `oci-layout:///layouts/two@${DIGEST}`],
        ['more', '/data'],
      ),
      from,
    );
    expect([...namedContexts]).toEqual([
      ['files', 'local:files'],
      ['alpine', 'docker-image://alpine:3'],
      ['one', `oci-layout://layout-0@${DIGEST}`],
      ['two', `oci-layout://layout-1@${DIGEST}`],
      ['more', 'local:more'],
    ]);
    expect([...names.locals]).toEqual([
      ['files', '/data'],
      ['more', '/data'],
    ]);
    expect([...names.layouts]).toEqual([
      ['layout-0', '/layouts/one'],
      ['layout-1', '/layouts/two'],
    ]);
    // A tag is looked up in the layout, a digest is what it is.
    expect(from.asked).toEqual(['oci-layout:///layouts/one:tag amd64']);
  });

  test('a layout without a directory is refused', async () => {
    await expect(collect(contexts(['x', 'oci-layout://']))).rejects.toMatchObject({
      code: 'TSB_USAGE',
      message: 'Cannot use "oci-layout://": expected oci-layout://DIR[:TAG][@DIGEST]',
    });
  });

  test('an archive is stored where nobody else reads, whole and in order', async () => {
    async function* data(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('first ');
      await Promise.resolve();
      yield Buffer.alloc(0);
      yield Buffer.from('second');
    }
    const { names } = await collect({ context: { kind: 'archive', data: data() } });
    const path = join(names.locals.get('context') ?? '', 'context');
    expect(fs.readFileSync(path, 'utf8')).toBe('first second');
    expect(fs.statSync(path).mode & 0o777).toBe(0o600);
  });

  test('a cancel ends an archive without end', async () => {
    const task = testTask();
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (let count = 0; ; count++) {
        if (count === 3) task.controller.abort(new Error('enough'));
        yield Buffer.alloc(1000);
        await Promise.resolve();
      }
    }
    const wanted = request({ context: { kind: 'archive', data: endless() } });
    await expect(collectNames(session(), task, wanted)).rejects.toThrow('enough');
  });

  test('an archive that fails on its way says where it was to go', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x');
      await Promise.reject(Object.assign(new Error('ENOSPC: full'), { code: 'ENOSPC' }));
    }
    await expect(collect({ context: { kind: 'archive', data: broken() } })).rejects.toMatchObject({
      code: 'TSB_NO_SPACE',
      message: expect.stringContaining('Cannot store the build context in') as string,
    });
  });
});

describe('a Dockerfile from the web', () => {
  const wanted = request({ dockerfile: { url: 'https://user:secret@web.test/Dockerfile' } });

  test('is its text from then on; what is shown of its address has no password', async () => {
    const path = join(dir, 'downloaded');
    fs.writeFileSync(path, 'FROM scratch\n');
    const task = testTask();
    const made = await withDockerfile(session({ file: { path, size: 13 } }), task, wanted, new SourcePolicies());
    expect(made.dockerfile).toEqual({ name: 'Dockerfile', text: 'FROM scratch\n' });
    const said = JSON.stringify(task.seen);
    expect(said).toContain('load remote build definition from https://');
    expect(said).not.toContain('secret');
  });

  test('that is too large is not read', async () => {
    const huge = session({ file: { path: join(dir, 'none'), size: 2 ** 40 } });
    const error: unknown = await withDockerfile(huge, testTask(), wanted, new SourcePolicies()).catch(
      (caught: unknown) => caught,
    );
    expect(error).toMatchObject({ code: 'TSB_DOCKERFILE' });
    expect(String(error)).toMatch(/it has 1099511627776 bytes/);
    expect(String(error)).not.toContain('secret');
  });

  test('others are left as they are', async () => {
    const local = request({ dockerfile: { dir: '/x', name: 'D' } });
    expect(await withDockerfile(session(), testTask(), local, new SourcePolicies())).toBe(local);
  });
});
