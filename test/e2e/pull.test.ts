import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hexOf } from '../../src/util/index.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { REGISTRY_USER, startRegistry } from '../support/registry.ts';
import { layoutFiles, wholeImage } from '../support/whole-image.ts';
import { useWatchedRegistry } from '../support/watched-registry.ts';

describeAsUser('pull', (who) => {
  const use = useBench(who);
  const held = useWatchedRegistry();
  let count = 0;

  /** An index in the registry. */
  const published = async (
    seed: string,
    layer?: Uint8Array,
  ): Promise<{ name: string; image: ReturnType<typeof wholeImage> }> => {
    const name = `${held.watched.host}/team/pulled${count++}`;
    const image = wholeImage(seed, layer);
    const from = `from${count}`;
    use.bench.write(from, layoutFiles(image, '1', false));
    await use.bench.ok(['copy', '-q', `oci:${from}:1`, `${name}:1`]);
    held.watched.requests.length = 0;
    return { name, image };
  };
  const inStore = (digest: string, store = use.bench.store): boolean =>
    existsSync(join(store, 'blobs/sha256', digest.slice('sha256:'.length)));

  test('one platform comes, under its name, whole and not unpacked', async () => {
    const { bench } = use;
    const { name, image } = await published('plain');
    const store = bench.path('plain');
    const { out } = await bench.ok(['pull', `docker://${name}:1`], { store });
    expect(out).toBe(`Digest: ${image.index.digest}\nStatus: Downloaded newer image for ${name}:1\n${name}:1\n`);
    for (const { digest } of [...image.amd64.blobs, image.index]) expect(inStore(digest, store)).toBe(true);
    expect(inStore(image.arm64.manifest.digest, store)).toBe(false);
    expect(readdirSync(join(store, 'snapshots'))).toEqual([]);
    const again = await bench.ok(['pull', `${name}:1`], { store });
    expect(again.out).toContain(`Image is up to date for ${name}:1`);
    const quiet = await bench.ok(['pull', '-q', `${name}:1`], { store });
    expect(quiet).toMatchObject({ out: `${image.amd64.config.digest}\n`, err: '' });
    // It outlives a prune, and builds stand on it without the registry.
    await bench.ok(['prune', '--all', '--force'], { store });
    held.watched.requests.length = 0;
    const context = bench.context(
      `FROM ${name}:1\nCOPY --from=0 /amd64 /again\n`.replace('COPY --from=0', `COPY --from=${name}:1`),
    );
    await bench.ok(['build', '-q', '-o', 'out', context], { store });
    expect(readdirSync(bench.path('out')).sort()).toEqual(['again', 'amd64', 'data']);
    expect(held.watched.requests).toEqual([]);
    expect(await bench.damage(store)).toEqual([]);
  });

  test('another platform joins the first, all of them make the index whole', async () => {
    const { bench } = use;
    const { name, image } = await published('platforms');
    await bench.ok(['pull', '-q', `${name}:1`]);
    const half = await bench.tsbuild(['push', `${name}:1`, `${name}:half`]);
    expect(half.err).toContain('are not in the store');
    const arm = await bench.ok(['pull', '-q', '--platform=linux/arm64', `${name}:1`]);
    expect(arm.out).toBe(`${image.arm64.config.digest}\n`);
    expect((await bench.ok(['images'])).out).toMatch(/linux\/amd64, ?linux\/arm64/);
    expect((await bench.ok(['pull', '-q', '--all-platforms', `${name}:1`])).out).toBe(`${image.index.digest}\n`);
    expect(inStore(image.attestation.manifest.digest)).toBe(true);
    await bench.ok(['push', '-q', `${name}:1`, `${name}:whole`]);
    const none = await bench.tsbuild(['pull', '--platform=linux/s390x', `${name}:1`]);
    expect(none).toMatchObject({
      code: 1,
      err: expect.stringContaining('it is available for linux/amd64, linux/arm64') as string,
    });
  });

  test('by digest, by all tags, and what is typed wrong', async () => {
    const { bench } = use;
    const { name, image } = await published('names');
    await bench.ok(['copy', '-q', `${name}:1`, `${name}:2`]);
    const byDigest = await bench.ok(['pull', `${name}@${image.index.digest}`]);
    expect(byDigest.out).toContain(`Digest: ${image.index.digest}`);
    await bench.ok(['prune', '--all', '--force']);
    expect(inStore(image.amd64.layers[0]?.digest ?? '')).toBe(true);
    const all = await bench.ok(['pull', '-a', name]);
    for (const tag of ['1', '2']) expect(all.out).toContain(`\n${name}:${tag}\n`);
    for (const [args, code, message] of [
      [['-a', `${name}:1`], 2, /--all-tags/],
      [['--platform=linux/amd64', '--all-platforms', name], 2, /all platforms/],
      [['UPPER'], 2, /lowercase/],
      [[`${name}:3`], 1, /not found/],
      [[`${held.watched.host}/no/such:1`], 1, /not found/],
      [[`${name}@sha256:${'0'.repeat(64)}`], 1, /not found/],
      [['--policy=sometimes', name], 2, /always/],
    ] as const) {
      const outcome = await bench.tsbuild(['pull', ...args]);
      expect([args.join(' '), outcome.code]).toEqual([args.join(' '), code]);
      expect(outcome.err).toMatch(message);
    }
  });

  test('policies say when the registry is asked', async () => {
    const { bench } = use;
    const { name, image } = await published('policies');
    const never = await bench.tsbuild(['pull', '--policy=never', `${name}:1`]);
    expect(never).toMatchObject({ code: 1, err: expect.stringContaining('--policy=never') as string });
    expect(held.watched.requests).toEqual([]);
    await bench.ok(['pull', '-q', '--policy=missing', `${name}:1`]);
    const asked = held.watched.requests.length;
    expect(asked).toBeGreaterThan(0);
    for (const policy of ['missing', 'never']) await bench.ok(['pull', '-q', `--policy=${policy}`, `${name}:1`]);
    expect(held.watched.requests).toHaveLength(asked);
    // The name stands for another image now.
    const other = wholeImage('policies 2');
    bench.write('moved', layoutFiles(other, '1', false));
    await bench.ok(['copy', '-q', 'oci:moved:1', `${name}:1`]);
    const kept = await bench.ok(['pull', '--policy=missing', `${name}:1`]);
    expect(kept.out).toContain(image.index.digest);
    const moved = await bench.ok(['pull', '--policy=newer', `${name}:1`]);
    expect(moved.out).toContain(`Digest: ${other.index.digest}\nStatus: Downloaded newer image`);
    held.watched.refuse = () => 503;
    const retry = ['--retry=0', `${name}:1`];
    expect((await bench.tsbuild(['pull', ...retry])).code).toBe(1);
  });

  test('a pull that breaks off leaves no name, and the next one fetches the rest', async () => {
    const { bench } = use;
    const { name, image } = await published('broken', randomBytes(400_000));
    const store = bench.path('broken');
    const large = image.amd64.layers[1]?.digest ?? '';
    held.watched.refuse = ({ url }) => (url.endsWith(large) ? 500 : undefined);
    const failed = await bench.tsbuild(['pull', '--retry=0', `${name}:1`], { store });
    expect(failed.code).toBe(1);
    expect(failed.err).toContain(hexOf(image.amd64.layers[1]?.digest ?? image.index.digest));
    expect((await bench.ok(['images', '-q'], { store })).out).toBe('');
    held.watched.refuse = () => undefined;
    held.watched.requests.length = 0;
    await bench.ok(['pull', '-q', `${name}:1`], { store });
    const fetched = held.watched.requests.filter(({ method, url }) => method === 'GET' && url.includes('/blobs/'));
    expect(fetched.map(({ url }) => url.split('/').at(-1))).toContain(large);
    expect(fetched.length).toBeLessThan(3);
    expect(await bench.damage(store)).toEqual([]);
  });

  test('a registry with a password says how to get in', async () => {
    const { bench } = use;
    await using guarded = await startRegistry({ password: true });
    const image = wholeImage('guarded');
    const creds = `${REGISTRY_USER.username}:${REGISTRY_USER.password}`;
    bench.write('guarded', layoutFiles(image, '1', false));
    const name = `${guarded.host}/team/app:1`;
    await bench.ok(['copy', '-q', '--dest-creds', creds, 'oci:guarded:1', name]);
    const denied = await bench.tsbuild(['pull', name]);
    expect(denied).toMatchObject({ code: 1, err: expect.stringContaining(`tsbuild login ${guarded.host}`) as string });
    expect((await bench.ok(['pull', '-q', '--creds', creds, name])).out).toBe(`${image.amd64.config.digest}\n`);
    await bench.ok(['pull', '-q', '--creds', creds, '-a', `${guarded.host}/team/app`]);
  });

  test('a base image that was pulled is mounted where it came from, and neither fetched nor sent', async () => {
    const { bench } = use;
    const { name } = await published('mounted', randomBytes(200_000));
    const store = bench.path('mounted');
    await bench.ok(['pull', '-q', `${name}:1`], { store });
    held.watched.requests.length = 0;
    const context = bench.context(`FROM ${name}:1\nCOPY --link file /file\n`, { file: 'x' });
    await bench.ok(['build', '-q', '--push', '-t', `${name}-onto:1`, context], { store });
    const moved = held.watched.requests.reduce((sum, { sent, received }) => sum + sent + received, 0);
    expect(moved).toBeLessThan(20_000);
  });
});
