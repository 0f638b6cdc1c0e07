import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { applyLayer } from '../layer/support/apply-layer.ts';
import { isTsbuildError, sha256 } from '../../src/util/index.ts';
import type { WorkerConfig } from '../../src/worker/index.ts';
import type { ApplyLayerParams } from '../../src/worker/layer-methods.ts';
import { LayerUnpacks } from '../../src/worker/layer-unpacks.ts';
import { archive, dir, file, hardlink, pax, symlink } from '../layer/support/tar-vectors.ts';
import { describeTree } from '../layer/support/trees.ts';

let base: string;
let counter = 0;
const config = {
  entry: fileURLToPath(new URL('../../src/worker/main.ts', import.meta.url)),
  plan: { idShift: 0, idCount: 65_536 },
} as WorkerConfig;
const unpacks = new LayerUnpacks(config);
const never = new AbortController().signal;

beforeAll(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'tsbuild-unpacks-'));
});
afterAll(() => fs.rmSync(base, { recursive: true }));

/** The parameters for a stack of layers, bottom first, each with an empty directory. */
function stack(...tars: readonly Buffer[]): ApplyLayerParams[] {
  const own = join(base, String(counter++));
  const params: ApplyLayerParams[] = [];
  for (const [index, tar] of tars.entries()) {
    const target = join(own, `layer${index}`);
    fs.mkdirSync(target, { recursive: true });
    const blob = join(own, `blob${index}`);
    const bytes = gzipSync(tar, { level: 1 });
    fs.writeFileSync(blob, bytes);
    params.push({
      blob,
      digest: sha256(bytes),
      size: bytes.length,
      compression: 'gzip',
      diffId: sha256(tar),
      lowers: params.map((lower) => lower.target),
      target,
      windows: false,
    });
  }
  return params;
}

/** Damages the middle of a blob and leaves its length. */
function damage(path: string): void {
  const bytes = fs.readFileSync(path);
  bytes.fill(0xff, bytes.length >> 1, (bytes.length >> 1) + 64);
  fs.writeFileSync(path, bytes);
}

const unpackAll = (params: readonly ApplyLayerParams[], signal = never) =>
  Promise.allSettled(params.map((one) => unpacks.unpack(one, signal)));
const codeOf = (result: PromiseSettledResult<unknown> | undefined): unknown =>
  result?.status === 'rejected' && isTsbuildError(result.reason) ? result.reason.code : result?.status;

/** Whiteouts are as old as they are. */
const described = (root: string): string[] => describeTree(root).map((line) => line.replace(/ \S+ 0,0$/, ' whiteout'));

/** Much larger than what lies between the two threads. */
const noise = randomBytes(8 << 20);
const bottom = archive(
  dir('usr', { mode: '0000711\0', uid: '0000005\0', mtime: '00000000144\0' }),
  pax({ 'SCHILY.xattr.user.mine': Buffer.from('x') }),
  dir('usr/lib', { mode: '0002775\0', mtime: '00000000145\0' }),
  file('usr/lib/linked', 'linked', { mode: '0004755\0' }),
  file('usr/lib/noise', noise),
  symlink('lib', 'usr/lib'),
  dir('gone'),
  file('gone/a', 'a'),
  dir('emptied'),
  file('emptied/a', 'a'),
);
/** Says nothing about the directories that it stands on: each entry needs the layer below. */
const dependent = archive(
  file('lib/new', 'new'),
  hardlink('usr/lib/second', 'usr/lib/linked'),
  file('.wh.gone'),
  file('emptied/.wh..wh..opq'),
  file('usr/lib/.wh.none'),
);
/** Says all about its own directories, the root's among them. */
const independent = archive(dir('./'), dir('own'), file('own/noise', noise.subarray(0, 3 << 20)));

test('layers that are unpacked side by side are those that are unpacked one after the other', async () => {
  const tars = [bottom, dependent, independent, archive(file('lib/new', 'newer'), file('usr/lib/.wh.linked'))];
  const together = stack(...tars);
  const results = await unpackAll(together);
  const one = stack(...tars);
  for (const [index, { blob, compression, lowers, target }] of one.entries()) {
    const { bytes, inodes, diffId } = await applyLayer({ blob, compression, lowers, target, idShift: 0 });
    expect(results[index]).toEqual({ status: 'fulfilled', value: { bytes, inodes, diffId } });
    expect(described(together[index]?.target ?? '')).toEqual(described(target));
  }
});

test('a layer that is damaged in its middle leaves nothing, and takes those with it that need it', async () => {
  const params = stack(bottom, dependent, independent);
  damage(params[0]?.blob ?? '');
  const [lower, needs, other] = await unpackAll(params);
  expect(['TSB_ARCHIVE', 'TSB_DIGEST']).toContain(codeOf(lower));
  expect(needs).toEqual({ status: 'fulfilled', value: undefined });
  expect(other).toMatchObject({ status: 'fulfilled', value: { diffId: sha256(independent) } });
  expect(params.map(({ target }) => fs.readdirSync(target))).toEqual([[], [], ['own']]);
});

test('a layer in the middle that is damaged leaves those beside it alone', async () => {
  const params = stack(independent, archive(dir('./'), file('noise', noise)), independent);
  damage(params[1]?.blob ?? '');
  const results = await unpackAll(params);
  expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(params.map(({ target }) => fs.readdirSync(target))).toEqual([['own'], [], ['own']]);
});

test('a layer that failed may be tried again, and one that needed it then, too', async () => {
  const params = stack(bottom, dependent);
  const [lower, upper] = params;
  if (!lower || !upper) throw new Error('No layers');
  const good = fs.readFileSync(lower.blob);
  damage(lower.blob);
  await unpackAll(params);
  fs.writeFileSync(lower.blob, good);
  const results = await unpackAll(params);
  expect(results.map((result) => result.status)).toEqual(['fulfilled', 'fulfilled']);
  expect(fs.readFileSync(join(upper.target, 'usr/lib/second'), 'utf8')).toBe('linked');
});

test.each([
  ['diffID', { diffId: sha256('other') }, 'TSB_DIGEST', /the image's config says/],
  ['digest, where no diffID is known', { digest: sha256('other'), diffId: undefined }, 'TSB_DIGEST', /blob's digest/],
  ['size', { size: 1 }, 'TSB_DIGEST', /bytes instead of 1/],
])('another %s than was said leaves nothing', async (_, said, code, message) => {
  const [params] = stack(independent);
  if (!params) throw new Error('No layer');
  const { diffId, ...rest } = { ...params, ...said };
  const [result] = await unpackAll([diffId === undefined ? rest : { ...rest, diffId }]);
  expect(codeOf(result)).toBe(code);
  expect(String(result?.status === 'rejected' ? result.reason : '')).toMatch(message);
  expect(fs.readdirSync(params.target)).toEqual([]);
});

test('an archive that leads out of the layer is refused by the thread that writes', async () => {
  const [params] = stack(archive(dir('./'), file('a', noise), symlink('up', '../../..'), file('a/b', 'x')));
  if (!params) throw new Error('No layer');
  const [result] = await unpackAll([params]);
  expect(codeOf(result)).toBe('TSB_ARCHIVE');
  expect(fs.readdirSync(params.target)).toEqual([]);
});

/** A blob as it arrives: a file with its first bytes, to which the rest can be added. */
function arriving(params: ApplyLayerParams): {
  readonly params: ApplyLayerParams;
  more(bytes: number): void;
  end(): void;
} {
  const bytes = fs.readFileSync(params.blob);
  fs.rmSync(params.blob);
  const growing = `${params.blob}.part`;
  fs.writeFileSync(growing, '');
  let at = 0;
  const more = (count: number): void => {
    fs.appendFileSync(growing, bytes.subarray(at, at + count));
    at += count;
  };
  return {
    params: { ...params, growing },
    more,
    end: () => {
      more(bytes.length);
      fs.renameSync(growing, params.blob);
    },
  };
}

test('a blob is unpacked while it arrives', async () => {
  const [params] = stack(independent);
  if (!params) throw new Error('No layer');
  const blob = arriving(params);
  const done = unpacks.unpack(blob.params, never);
  blob.more(100);
  await sleep(20);
  blob.more(2 << 20);
  // Its files are there before its end is.
  await expect.poll(() => fs.readdirSync(params.target)).toEqual(['own']);
  blob.end();
  expect(await done).toMatchObject({ diffId: sha256(independent) });
  expect(fs.statSync(join(params.target, 'own/noise')).size).toBe(3 << 20);
});

test('one that has arrived and was put in its place before anybody looked is read there', async () => {
  const [params] = stack(independent);
  if (!params) throw new Error('No layer');
  const blob = arriving(params);
  blob.end();
  expect(await unpacks.unpack(blob.params, never)).toMatchObject({ diffId: sha256(independent) });
});

test('canceling leaves nothing, of those that wait for bytes and of those that wait for them', async () => {
  const params = stack(bottom, dependent);
  const [lower, upper] = params;
  if (!lower || !upper) throw new Error('No layers');
  const blob = arriving(lower);
  blob.more(1 << 20);
  const controller = new AbortController();
  const results = unpackAll([blob.params, upper], controller.signal);
  await expect.poll(() => fs.readdirSync(lower.target)).toContain('usr');
  controller.abort(new Error('enough'));
  expect((await results).map((result) => result.status)).toEqual(['rejected', 'rejected']);
  expect(params.map(({ target }) => fs.readdirSync(target))).toEqual([[], []]);
});
