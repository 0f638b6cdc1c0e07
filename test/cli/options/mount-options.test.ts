import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { imageVolumes, type MountOptions, parseMounts } from '../../../src/cli/options/mount-options.ts';
import type { Session } from '../../../src/engine/index.ts';
import type { ImageConfig } from '../../../src/image/index.ts';
import type { MountSpec } from '../../../src/sandbox/index.ts';
import { Store } from '../../../src/store/index.ts';
import { isTsbuildError } from '../../../src/util/index.ts';

const dir = fs.mkdtempSync(join(tmpdir(), 'tsbuild-mounts-'));
const store = Store.open(join(dir, 'store'), { now: () => 0 });
fs.mkdirSync(join(dir, 'data'));
afterAll(() => {
  store.close();
  fs.rmSync(dir, { recursive: true, force: true });
});

/** As much of a session as mounts ask for: ids of the caller, in namespaces or without. */
const sessionOf = (how = 'direct'): Session =>
  ({ store, plan: () => Promise.resolve({ idShift: 0, how }) }) as unknown as Session;
const mounts = (options: MountOptions): Promise<readonly MountSpec[]> => parseMounts(sessionOf(), dir, options);
const volume = (name: string): string => join(dir, 'store/volumes', name, 'data');

describe('what is mounted in a container', () => {
  test('-v: a volume by its name, a directory by its path, and a volume without a name', async () => {
    const [named, path, relative, anonymous] = await mounts({
      volume: ['db:/var/db:ro,nocopy', `${dir}/data:/data:ro`, './data:/here', '/cache'],
    });
    expect(named).toEqual({
      type: 'bind',
      source: volume('db'),
      target: '/var/db',
      readonly: true,
      volume: 'db',
      fill: false,
    });
    expect(path).toMatchObject({ source: join(dir, 'data'), target: '/data', readonly: true });
    expect(relative).toMatchObject({ source: join(dir, 'data'), target: '/here', readonly: false });
    expect(anonymous).toMatchObject({ target: '/cache', readonly: false, fill: true });
    const { volume: name = '' } = anonymous as { volume?: string };
    expect(name).toMatch(/^[0-9a-f]{64}$/);
    // It is there when the container starts.
    expect(fs.statSync(volume(name)).isDirectory()).toBe(true);
  });

  test.each<[string, Partial<MountSpec> & Record<string, unknown>]>([
    ['type=bind,src=data,dst=/d', { type: 'bind', target: '/d', readonly: false }],
    ['type=bind,source=data,destination=/d,ro', { target: '/d', readonly: true }],
    ['type=bind,source=data,target=/d,readonly=false', { readonly: false }],
    ['type=bind,source=data,target=/d,readonly=0', { readonly: false }],
    ['type=volume,source=vol,target=/v,volume-nocopy', { volume: 'vol', fill: false }],
    ['source=vol,target=/v,ro=true', { volume: 'vol', fill: true, readonly: true }],
    ['type=tmpfs,target=/t', { type: 'tmpfs', target: '/t' }],
    ['type=tmpfs,target=/t,readonly', { type: 'tmpfs', readonly: true }],
    ['type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1777', { size: 1_048_576, mode: 0o1777 }],
    ['source=vol,target=/v,volume-subpath=', { volume: 'vol', fill: true }],
    ['source=vol,target=/v,volume-subpath=a/b', { volume: 'vol', subpath: 'a/b', fill: false }],
  ])('--mount %s', async (text, wanted) => {
    expect(await mounts({ mount: [text] })).toEqual([expect.objectContaining(wanted)]);
  });

  test.each<[string, Partial<MountSpec> & Record<string, unknown>]>([
    ['/t', { type: 'tmpfs', target: '/t' }],
    ['/t:size=64k,mode=700', { size: 65_536, mode: 0o700 }],
    ['/t:rw,nosuid,nodev,noexec', { target: '/t', noexec: true }],
    // Docker's own word for the opposite of its default.
    ['/t', { noexec: true }],
    ['/t:exec', { noexec: false }],
    ['/t:exec,noexec', { noexec: true }],
    ['/t:exec,noexec,exec', { noexec: false }],
    ['/t:ro', { readonly: true }],
    ['/t:uid=7,gid=8', { uid: 7, gid: 8 }],
  ])('--tmpfs %s', async (text, wanted) => {
    expect(await mounts({ tmpfs: [text] })).toEqual([expect.objectContaining(wanted)]);
  });

  test('-v: what is said twice is mounted once, and a directory that is not there is made', async () => {
    const made = join(dir, 'made/new');
    expect(await mounts({ volume: ['./made/new:/n', './made/new:/n'] })).toEqual([
      { type: 'bind', source: made, target: '/n', readonly: false },
    ]);
    expect(fs.statSync(made).isDirectory()).toBe(true);
    // A mistake leaves nothing.
    for (const text of ['./wrong:/n:rq', './wrong:n', './wrong:/'])
      await expect(mounts({ volume: [text] })).rejects.toThrow('Cannot use volume');
    expect(fs.existsSync(join(dir, 'wrong'))).toBe(false);
    await expect(mounts({ volume: ['/proc/none/here:/n'] })).rejects.toThrow(/cannot be made/);
  });

  test('--device, under its own or another name', async () => {
    expect(await mounts({ device: ['/dev/null', '/dev/zero:/dev/nought:rwm'] })).toEqual([
      { type: 'device', source: '/dev/null', target: '/dev/null' },
      { type: 'device', source: '/dev/zero', target: '/dev/nought' },
    ]);
    // As docker has it: what may be done with a device may stand where its other name would.
    for (const text of ['/dev/null:rwm', '/dev/null:r', '/dev/null:mw'])
      expect(await mounts({ device: [text] })).toEqual([{ type: 'device', source: '/dev/null', target: '/dev/null' }]);
  });

  test('--read-only leaves places to write to, but where something is mounted', async () => {
    const targets = (await mounts({ readOnly: true, tmpfs: ['/tmp/'] })).map(({ target }) => target);
    expect(targets).toEqual(['/tmp/', '/run', '/var/tmp']);
  });

  test.each<[MountOptions, RegExp]>([
    [{ volume: ['db'] }, /expected NAME:\/path, \/machine\/path:\/path or \/path/],
    [{ volume: ['db:var'] }, /the target is not an absolute path/],
    [{ volume: ['db:/'] }, /cannot be the root directory/],
    [{ volume: ['db:/a/..'] }, /cannot be the root directory/],
    [{ volume: ['-db:/x'] }, /"-db" is neither the name of a volume nor a path/],
    [{ volume: ['db:/x:rq'] }, /there is no option "rq"/],
    [{ mount: ['type=npipe,target=/x'] }, /there is no type "npipe": there are bind, volume and tmpfs/],
    [{ mount: ['type=constructor,target=/x'] }, /there is no type "constructor"/],
    [{ mount: ['type=tmpfs,target=/x,toString=1'] }, /there is no "toString" for type tmpfs/],
    [{ mount: ['type=tmpfs,target=/x,source=y'] }, /there is no "source" for type tmpfs/],
    [{ mount: ['type=tmpfs'] }, /the target is not an absolute path/],
    [{ mount: ['type=tmpfs,target=/x,mode=9'] }, /mode "9" is no octal number/],
    [{ mount: ['type=bind,target=/x'] }, /the source is missing/],
    [{ mount: ['type=bind,source=nowhere,target=/x'] }, /nowhere" does not exist/],
    [{ mount: ['source=../x,target=/x'] }, /"..\/x" is no name of a volume/],
    [{ mount: ['type=tmpfs,target=/x,tmpfs-size=big'] }, /Cannot use --mount ".*": "big" is no size/],
    [{ tmpfs: ['/t:size=big'] }, /Cannot use --tmpfs "\/t:size=big": "big" is no size/],
    [{ tmpfs: ['t'] }, /the target is not an absolute path/],
    [{ tmpfs: ['/t:uid=me'] }, /uid "me" is no id/],
    [{ tmpfs: ['/t:nr_inodes=1'] }, /there is no option "nr_inodes"/],
    [{ mount: ['source=vol,target=/x,volume-subpath=../y'] }, /volume-subpath "..\/y" is no path within the volume/],
    [{ mount: ['source=vol,target=/x,volume-subpath=/y'] }, /is no path within the volume/],
    [{ volume: ['db:/x', 'other:/x'] }, /Cannot mount two things at "\/x"/],
    [{ device: ['/dev/none-such'] }, /"\/dev\/none-such" does not exist/],
    [{ device: ['/dev/null:null'] }, /the target is not an absolute path/],
    [{ device: ['/dev/null:/dev/x:rx'] }, /expected \/dev\/x\[:\/dev\/y\]\[:rwm\]/],
    [{ device: ['/dev/null:/dev/x:r:w'] }, /expected \/dev\/x/],
    [{ device: ['/dev/null:r:/dev/x'] }, /expected \/dev\/x/],
    [{ device: ['/dev/null:'] }, /the target is not an absolute path/],
    [{ volume: ['db:/x'], tmpfs: ['/x/'] }, /Cannot mount two things at "\/x"/],
    [{ mount: ['type=tmpfs,target=/a/../x', 'type=tmpfs,target=/x'] }, /two things at "\/x"/],
  ])('%j is refused', async (options, why) => {
    const error: unknown = await mounts(options).catch((caught: unknown) => caught);
    expect(isTsbuildError(error, 'TSB_USAGE') && error.message).toMatch(why);
  });

  test('whatever is typed is a mount beneath the root, or a wrong use', async () => {
    const word = fc.oneof(
      fc.constantFrom('type=bind', 'type=tmpfs', 'target=/x', 'src=data', '__proto__', 'hasOwnProperty=1', 'size=1', '', '/', '..', 'ro'),
      fc.string({ maxLength: 6 }),
    ); // oxfmt-ignore
    const text = fc.array(word, { maxLength: 4 });
    const options = fc.oneof(
      text.map((words) => ({ mount: [words.join(',')] })),
      text.map((words) => ({ tmpfs: [words.join(':')] })),
      text.map((words) => ({ device: [words.join(':')] })),
    );
    await fc.assert(
      fc.asyncProperty(options, async (typed) => {
        const found: unknown = await mounts(typed).catch((error: unknown) => error);
        if (Array.isArray(found)) for (const { target } of found as MountSpec[]) expect(join(target)).toMatch(/^\/./);
        else expect(isTsbuildError(found), String(found)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('volumes that an image asks for', () => {
  const image = (...paths: string[]): ImageConfig =>
    ({ config: { Volumes: Object.fromEntries(paths.map((path) => [path, {}])) } }) as unknown as ImageConfig;
  const targets = async (config: ImageConfig, taken: readonly MountSpec[] = [], how = 'direct') =>
    (await imageVolumes(sessionOf(how), config, taken)).map(({ target }) => target);

  test('are made without a name, where nothing else is mounted', async () => {
    const taken = [{ type: 'tmpfs', target: '/data/' }] as MountSpec[];
    expect(await targets(image('/data', 'var/lib', '/var/lib/', '/srv'), taken)).toEqual(['/var/lib', '/srv']);
    expect(await targets({ config: {} } as ImageConfig)).toEqual([]);
  });

  test('are none where the kernel’s own directories are, or everything is', async () => {
    expect(await targets(image('/', '/proc', '/proc/sys', '/sys/x', '/dev', 'dev/shm', '/a/../proc'))).toEqual([]);
    expect(await targets(image('/process', '/devices'))).toEqual(['/process', '/devices']);
  });

  test('are none where nothing can be mounted', async () => {
    expect(await targets(image('/data'), [], 'none')).toEqual([]);
  });
});
