import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  assembleImage,
  type AssembledImage,
  type ExportContext,
  exportResult,
  listImages,
  parseOutput,
  type PlatformImage,
  removeImages,
  saveImages,
  type StdoutStream,
} from '../../src/exporter/index.ts';
import { type Lease, Store } from '../../src/store/index.ts';
import { mediaTypes, type Platform } from '../../src/image/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { tar, type TarMember } from '../support/image.ts';
import { testTask } from '../support/task.ts';
import { run, skopeo } from '../support/tools.ts';

let folder: string;
let store: Store;
let lease: Lease;
let stdout: StdoutStream & { readonly chunks: Buffer[] };

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tsbuild-export-'));
  store = Store.open(join(folder, 'store'), { now: () => 1000 });
  lease = store.leases.create();
  const chunks: Buffer[] = [];
  stdout = {
    chunks,
    write(chunk, done) {
      chunks.push(Buffer.from(chunk));
      done();
      return true;
    },
  };
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true });
});

const context = (): ExportContext => ({
  store,
  lease,
  stdout,
  writeTar: async () => {},
  push: () => Promise.resolve(),
  writeDirectory: async () => {},
});

function layer(...members: TarMember[]): PlatformImage['layers'][number] {
  const bytes = tar(members);
  const { digest, size } = store.blobs.put(gzipSync(bytes));
  return { descriptor: { mediaType: mediaTypes.ociLayerGzip, digest, size }, diffId: sha256(bytes), createdAt: 1000 };
}

function platformImage(platform: Platform = { os: 'linux', architecture: 'amd64' }): PlatformImage {
  return {
    platform,
    config: {
      os: platform.os,
      architecture: platform.architecture,
      config: { Cmd: ['/bin/sh'], Env: ['PATH=/bin'] },
      rootfs: { type: 'layers', diff_ids: [] },
      history: [{ created_by: 'COPY' }, { created_by: 'CMD', empty_layer: true }],
    },
    layers: [
      layer({ name: 'etc', type: '5' }, { name: 'etc/arch', content: platform.architecture }),
      layer({ name: 'big', content: 'x'.repeat(100_000) }),
    ],
  };
}

async function write(text: string, image: AssembledImage, names: readonly string[] = ['app:1']): Promise<void> {
  const spec = parseOutput(text, { cwd: folder, names });
  const platforms = image.platforms.map(({ platform }) => platform);
  await exportResult(testTask(), spec, { platforms, image, multiPlatform: platforms.length > 1 }, context());
}
const at = (name: string): string => join(folder, name);

describe('OCI archives', () => {
  test('are read by skopeo, unpacked by umoci and valid to oci-image-tool', async () => {
    const image = assembleImage([platformImage()]);
    await write('type=oci,dest=a.tar', image);
    const inspected = JSON.parse(skopeo('inspect', `oci-archive:${at('a.tar')}:1`)) as {
      Digest: string;
      Layers: string[];
    };
    expect(inspected.Digest).toBe(image.root.digest);
    expect(inspected.Layers).toEqual(image.platforms[0]?.layers.map(({ digest }) => digest));

    mkdirSync(at('layout'));
    run('tar', '-xf', at('a.tar'), '-C', at('layout'));
    run('oci-image-tool', 'validate', '--type', 'image', '--ref', 'name=1', at('layout'));
    run('umoci', 'unpack', '--rootless', '--image', `${at('layout')}:1`, at('bundle'));
    expect(readFileSync(at('bundle/rootfs/etc/arch'), 'utf8')).toBe('amd64');
    skopeo('copy', '-q', `oci-archive:${at('a.tar')}:1`, `dir:${at('dir')}`);
    expect(sha256(readFileSync(at('dir/manifest.json')))).toBe(image.root.digest);
  });

  test('have a fixed order, fixed times and the names', async () => {
    const image = assembleImage([platformImage()]);
    await write('type=oci,dest=a.tar', image, ['app:1', 'r.example/x/y']);
    const listing = run('tar', '--numeric-owner', '-tvf', at('a.tar')).trim().split('\n');
    const names = listing.map((line) => line.split(' ').at(-1) ?? '');
    expect(names).toEqual([...names].sort());
    expect(names.slice(-2)).toEqual(['index.json', 'oci-layout']);
    for (const line of listing) expect(line).toMatch(/^(?:drwxr-xr-x|-r--r--r--) 0\/0 .* 1970-01-01/);
    const index = JSON.parse(run('tar', '-xOf', at('a.tar'), 'index.json')) as {
      manifests: { digest: string; annotations: unknown }[];
    };
    expect(index.manifests).toEqual([
      expect.objectContaining({
        digest: image.root.digest,
        annotations: {
          'io.containerd.image.name': 'docker.io/library/app:1',
          'org.opencontainers.image.created': '1970-01-01T00:00:01Z',
          'org.opencontainers.image.ref.name': '1',
        },
      }),
      expect.objectContaining({
        digest: image.root.digest,
        annotations: expect.objectContaining({
          'io.containerd.image.name': 'r.example/x/y:latest',
          'org.opencontainers.image.ref.name': 'latest',
        }),
      }),
    ]);
  });

  test('index.json and the metadata say which platform the only image is for', async () => {
    const image = assembleImage([platformImage({ os: 'linux', architecture: 'arm64', variant: 'v8' })]);
    const spec = parseOutput('type=oci,dest=a.tar', { cwd: folder, names: [] });
    const { platform } = image.platforms[0] ?? { platform: { os: '', architecture: '' } };
    const exported = await exportResult(
      testTask(),
      spec,
      { platforms: [platform], image, multiPlatform: false },
      context(),
    );
    const entry = { ...image.root, platform: { architecture: 'arm64', os: 'linux' } };
    const { manifests } = JSON.parse(run('tar', '-xOf', at('a.tar'), 'index.json')) as { manifests: unknown[] };
    expect(manifests).toEqual([
      { ...entry, annotations: { 'org.opencontainers.image.created': '1970-01-01T00:00:01Z' } },
    ]);
    const descriptor = exported?.metadata['containerimage.descriptor'] ?? '';
    expect(JSON.parse(Buffer.from(descriptor, 'base64').toString())).toEqual(entry);
  });

  test('the same image gives the same bytes, in a file and on standard output', async () => {
    await write('type=oci,dest=a.tar', assembleImage([platformImage()]));
    await write('type=oci,dest=b.tar', assembleImage([platformImage()]));
    await write('type=oci', assembleImage([platformImage()]));
    expect(readFileSync(at('a.tar')).equals(readFileSync(at('b.tar')))).toBe(true);
    expect(Buffer.concat(stdout.chunks).equals(readFileSync(at('a.tar')))).toBe(true);
  });

  test('several platforms, one of which skopeo takes', async () => {
    await write(
      'type=oci,dest=a.tar',
      assembleImage([platformImage(), platformImage({ os: 'linux', architecture: 'arm64' })]),
    );
    const inspected = JSON.parse(skopeo('--override-arch=arm64', 'inspect', `oci-archive:${at('a.tar')}:1`)) as {
      Architecture: string;
    };
    expect(inspected.Architecture).toBe('arm64');
    skopeo('copy', '-q', '--all', `oci-archive:${at('a.tar')}:1`, `oci:${at('copy')}:1`);
  });

  test("Docker's media types are read as well", async () => {
    await write('type=oci,dest=a.tar,oci-mediatypes=false', assembleImage([platformImage()], { ociMediaTypes: false }));
    skopeo('copy', '-q', `oci-archive:${at('a.tar')}`, `dir:${at('dir')}`);
  });

  test('an image without names', async () => {
    await write('type=oci,dest=a.tar', assembleImage([platformImage()]), []);
    skopeo('copy', '-q', `oci-archive:${at('a.tar')}`, `dir:${at('dir')}`);
  });
});

describe('docker archives', () => {
  test('are read by skopeo under their familiar name', async () => {
    const image = assembleImage([platformImage()]);
    await write('type=docker,dest=a.tar', image);
    expect(JSON.parse(run('tar', '-xOf', at('a.tar'), 'manifest.json'))).toEqual([
      {
        Config: `blobs/sha256/${image.platforms[0]?.config.digest.slice(7)}`,
        RepoTags: ['app:1'],
        Layers: image.platforms[0]?.layers.map(({ digest }) => `blobs/sha256/${digest.slice(7)}`),
      },
    ]);
    skopeo('copy', '-q', `docker-archive:${at('a.tar')}:app:1`, `oci:${at('copy')}:1`);
    run('umoci', 'unpack', '--rootless', '--image', `${at('copy')}:1`, at('bundle'));
    expect(readFileSync(at('bundle/rootfs/etc/arch'), 'utf8')).toBe('amd64');
  });

  test('refuse several platforms before anything is written', async () => {
    const image = assembleImage([platformImage(), platformImage({ os: 'linux', architecture: 'arm64' })]);
    await expect(write('type=docker,dest=a.tar', image)).rejects.toThrow(
      'does not currently support exporting manifest lists',
    );
    expect(existsSync(at('a.tar'))).toBe(false);
  });
});

describe('destinations (CTX-12)', () => {
  test('an old file is replaced in one step, and kept when the export fails', async () => {
    writeFileSync(at('a.tar'), 'old', { mode: 0o600 });
    const image = assembleImage([platformImage()]);
    const broken = image.platforms[0]?.layers[0]?.digest ?? sha256('');
    const bytes = readFileSync(store.blobs.path(broken));
    unlinkSync(store.blobs.path(broken));
    writeFileSync(store.blobs.path(broken), Buffer.alloc(bytes.length));
    await expect(write('type=oci,dest=a.tar', image)).rejects.toThrow(expect.objectContaining({ code: 'TSB_DIGEST' }));
    expect(readFileSync(at('a.tar'), 'utf8')).toBe('old');
    expect(store.blobs.has(broken)).toBe(false);
    await expect(write('type=oci,dest=a.tar', image)).rejects.toThrow(
      expect.objectContaining({ code: 'TSB_NOT_FOUND' }),
    );
    expect(readdirSync(folder).sort()).toEqual(['a.tar', 'store']);

    store.blobs.put(bytes);
    await write('type=oci,dest=a.tar', image);
    expect(statSync(at('a.tar')).mode & 0o777).toBe(0o600);
    expect(statSync(at('a.tar')).size).toBeGreaterThan(1000);
  });

  test('a link to a file stays a link', async () => {
    writeFileSync(at('real.tar'), 'old');
    symlinkSync('real.tar', at('a.tar'));
    await write('type=oci,dest=a.tar', assembleImage([platformImage()]));
    expect(readlinkSync(at('a.tar'))).toBe('real.tar');
    expect(statSync(at('real.tar')).size).toBeGreaterThan(1000);
  });

  test.each([
    ['a directory', '.', 'it is a directory'],
    ['a full device', '/dev/full', 'no space left'],
    ['a directory that is not there', 'gone/a.tar', 'does not exist'],
    ['below a file', 'store/store.json/a.tar', 'not a directory'],
  ])('%s is an error', async (_, dest, message) => {
    await expect(write(`type=oci,dest=${dest}`, assembleImage([platformImage()]))).rejects.toThrow(message);
  });

  test('/dev/null is written to, not replaced', async () => {
    await write('type=oci,dest=/dev/null', assembleImage([platformImage()]));
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });

  test('a terminal is refused', async () => {
    stdout = { ...stdout, isTTY: true };
    await expect(write('type=oci', assembleImage([platformImage()]))).rejects.toThrow('refusing to write to console');
    expect(stdout.chunks).toEqual([]);
  });

  test('a reader that goes away is an error', async () => {
    stdout = {
      chunks: [],
      write: (_, done) => (done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })), false),
    };
    await expect(write('type=oci', assembleImage([platformImage()]))).rejects.toThrow(
      expect.objectContaining({ code: 'TSB_EXPORT' }),
    );
  });

  test('a canceled task leaves nothing behind', async () => {
    const spec = parseOutput('type=oci,dest=dir,tar=false', { cwd: folder, names: [] });
    const task = testTask();
    task.controller.abort(new Error('enough'));
    const image = assembleImage([platformImage()]);
    await expect(exportResult(task, spec, { platforms: [], image, multiPlatform: false }, context())).rejects.toThrow(
      'enough',
    );
    expect(existsSync(at('dir/index.json'))).toBe(false);
  });
});

describe('OCI layout directories', () => {
  test('images are added, and one of the same name replaced', async () => {
    const first = assembleImage([platformImage()]);
    await write('type=oci,dest=layout,tar=false', first, ['app:1']);
    await write('type=oci,dest=layout,tar=false', first, ['app:2']);
    const second = assembleImage([platformImage({ os: 'linux', architecture: 'arm64' })]);
    await write('type=oci,dest=layout,tar=false', second, ['app:1']);
    const index = JSON.parse(readFileSync(at('layout/index.json'), 'utf8')) as {
      manifests: { digest: string; annotations: Record<string, string> }[];
    };
    expect(
      index.manifests.map(({ digest, annotations }) => [annotations['org.opencontainers.image.ref.name'], digest]),
    ).toEqual([
      ['2', first.root.digest],
      ['1', second.root.digest],
    ]);
    expect(readdirSync(at('layout')).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
    run('oci-image-tool', 'validate', '--type', 'image', '--ref', 'name=2', at('layout'));
    run('umoci', 'unpack', '--rootless', '--image', `${at('layout')}:2`, at('bundle'));
  });

  test('links in the directory are not followed', async () => {
    mkdirSync(at('victim'));
    mkdirSync(at('layout'));
    symlinkSync(at('victim'), at('layout/blobs'));
    await expect(write('type=oci,dest=layout,tar=false', assembleImage([platformImage()]))).rejects.toThrow();
    expect(readdirSync(at('victim'))).toEqual([]);
    unlinkSync(at('layout/blobs'));
    writeFileSync(at('canary'), 'canary');
    symlinkSync(at('canary'), at('layout/index.json'));
    await expect(write('type=oci,dest=layout,tar=false', assembleImage([platformImage()]))).rejects.toThrow();
    expect(readFileSync(at('canary'), 'utf8')).toBe('canary');
  });

  test('an index.json of something else is not overwritten', async () => {
    mkdirSync(at('layout'));
    writeFileSync(at('layout/index.json'), '{"name":"my web app"}');
    await expect(write('type=oci,dest=layout,tar=false', assembleImage([platformImage()]))).rejects.toThrow(
      expect.objectContaining({ code: 'TSB_IMAGE' }),
    );
    expect(readFileSync(at('layout/index.json'), 'utf8')).toContain('web app');
  });
});

describe('the local image store', () => {
  test('type=image names an image; it is listed, saved and removed', async () => {
    const image = assembleImage([platformImage()]);
    await write('type=image,name-canonical=true,dangling-name-prefix=r.example/dangling', image, [
      'app:1',
      'r.example/x',
    ]);
    expect(store.images.list().map(({ name }) => name)).toEqual([
      'docker.io/library/app:1',
      `docker.io/library/app@${image.root.digest}`,
      `r.example/dangling@${image.root.digest}`,
      'r.example/x:latest',
      `r.example/x@${image.root.digest}`,
    ]);
    const [first] = listImages(store);
    expect(first).toMatchObject({
      familiar: 'app:1',
      digest: image.root.digest,
      id: image.platforms[0]?.config.digest,
      platforms: ['linux/amd64'],
      created: '1970-01-01T00:00:01Z',
    });
    expect(first?.size).toBeGreaterThan(300);

    await saveImages(testTask(), {
      store,
      names: ['app:1', 'r.example/x'],
      format: 'docker',
      dest: at('saved.tar'),
      stdout,
    });
    const [saved] = JSON.parse(run('tar', '-xOf', at('saved.tar'), 'manifest.json')) as { RepoTags: string[] }[];
    expect(saved?.RepoTags).toEqual(['app:1', 'r.example/x:latest']);
    skopeo('inspect', `docker-archive:${at('saved.tar')}`);

    expect(removeImages(store, ['app:1']).removed).toEqual(['docker.io/library/app:1']);
    expect(removeImages(store, [image.root.digest.slice(7, 19)]).removed).toHaveLength(4);
    expect(store.images.list()).toEqual([]);
  });

  test('what was stored and what was exported directly are the same image', async () => {
    const image = assembleImage([platformImage(), platformImage({ os: 'linux', architecture: 'arm64' })]);
    await write('type=oci,dest=a.tar', image);
    await write('type=image', image);
    await saveImages(testTask(), { store, names: ['app:1'], format: 'oci', dest: at('b.tar'), stdout });
    expect(readFileSync(at('a.tar')).equals(readFileSync(at('b.tar')))).toBe(true);
    await expect(
      saveImages(testTask(), { store, names: ['app:1'], format: 'docker', dest: at('c.tar'), stdout }),
    ).rejects.toThrow('manifest lists');
    const platform = { os: 'linux', architecture: 'arm64' };
    await saveImages(testTask(), { store, names: ['app:1'], format: 'docker', dest: at('c.tar'), stdout, platform });
    expect(
      (JSON.parse(skopeo('inspect', `docker-archive:${at('c.tar')}`)) as { Architecture: string }).Architecture,
    ).toBe('arm64');
    expect(listImages(store)[0]?.platforms).toEqual(['linux/amd64', 'linux/arm64']);
  });

  test('an image without its layers is not named', async () => {
    const image = assembleImage([platformImage()]);
    store.blobs.remove(image.platforms[0]?.layers[0]?.digest ?? sha256(''));
    await expect(write('type=image', image)).rejects.toThrow(expect.objectContaining({ code: 'TSB_EXPORT' }));
    expect(store.images.list()).toEqual([]);
  });

  test('a damaged image is listed with its problem', async () => {
    const image = assembleImage([platformImage()]);
    await write('type=image', image);
    store.blobs.remove(image.root.digest);
    expect(listImages(store)).toEqual([
      expect.objectContaining({ familiar: 'app:1', problem: expect.stringContaining('is missing') }),
    ]);
  });

  test('what is not there cannot be saved', async () => {
    await expect(
      saveImages(testTask(), { store, names: ['nope'], format: 'oci', dest: at('x'), stdout }),
    ).rejects.toThrow(expect.objectContaining({ code: 'TSB_NOT_FOUND' }));
    expect(existsSync(at('x'))).toBe(false);
  });
});

describe('trees', () => {
  const platforms = [
    { os: 'linux', architecture: 'amd64' },
    { os: 'linux', architecture: 'arm', variant: 'v7' },
  ];
  async function treesOf(text: string, multiPlatform: boolean): Promise<unknown> {
    let seen: unknown;
    const record = async (_: unknown, path: string, trees: unknown): Promise<void> => {
      if (path !== at('out')) writeFileSync(path, 'tar stream');
      seen = trees;
      return Promise.resolve();
    };
    const result = { platforms: multiPlatform ? platforms : platforms.slice(0, 1), multiPlatform };
    await exportResult(testTask(), parseOutput(text, { cwd: folder, names: [] }), result, {
      ...context(),
      writeTar: record,
      writeDirectory: record,
    });
    return seen;
  }

  test('one platform is at the top, several are split unless told otherwise', async () => {
    expect(await treesOf('type=local,dest=out', false)).toEqual([{ index: 0, label: 'linux/amd64' }]);
    expect(await treesOf('type=local,dest=out', true)).toEqual([
      { index: 0, label: 'linux/amd64', prefix: 'linux_amd64' },
      { index: 1, label: 'linux/arm/v7', prefix: 'linux_arm_v7' },
    ]);
    expect(await treesOf('type=local,dest=out,platform-split=false', true)).toEqual([
      { index: 0, label: 'linux/amd64' },
      { index: 1, label: 'linux/arm/v7' },
    ]);
    expect(await treesOf('type=local,dest=out,platform-split=true', false)).toEqual([
      { index: 0, label: 'linux/amd64', prefix: 'linux_amd64' },
    ]);
  });

  test('a tar goes through a temporary file to where it belongs', async () => {
    await treesOf('-', false);
    expect(Buffer.concat(stdout.chunks).toString()).toBe('tar stream');
    await treesOf('type=tar,dest=x.tar', false);
    expect(readFileSync(at('x.tar'), 'utf8')).toBe('tar stream');
  });
});
