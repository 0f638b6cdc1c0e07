import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { hexOf } from '../../src/util/index.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { REGISTRY_USER, startRegistry } from '../support/registry.ts';
import { layoutFiles, SIGNATURE, wholeImage } from '../support/whole-image.ts';
import { useWatchedRegistry } from '../support/watched-registry.ts';

describeAsEveryone('copy', (who) => {
  const use = useBench(who, { base: false });
  const held = useWatchedRegistry();
  let count = 0;

  const newName = (): string => `${held.watched.host}/team/copied${count++}`;
  const layout = (image: ReturnType<typeof wholeImage>): string => {
    const name = `layout${count++}`;
    use.bench.write(name, layoutFiles(image, '1'));
    return name;
  };
  // Not to its end at once: what is asked of the watched registry goes by this process.
  const skopeo = (...args: string[]) => use.bench.tool(['skopeo', '--insecure-policy', ...args]);
  const raw = (place: string) => skopeo('inspect', '--raw', '--tls-verify=false', place);
  const sentBlobs = () =>
    held.watched.requests.filter(
      ({ method, url, status }) => method === 'PUT' && url.includes('/uploads/') && status === 201,
    );
  const referrersTag = (digest: string): string => digest.replace(':', '-');

  test('a whole index goes through every kind of place, and is the same at the end', async () => {
    const { bench } = use;
    const image = wholeImage('around');
    const from = layout(image);
    const name = newName();
    const { out, err } = await bench.ok(['copy', '--progress=plain', `oci:${from}:1`, `docker://${name}:a`]);
    expect(out).toBe(`${name}:a@${image.index.digest}\n`);
    expect(err).toContain('with 2 that refer to it');
    expect(await raw(`docker://${name}:a`)).toBe(image.index.bytes.toString());
    await bench.ok(['copy', '-q', `${name}:a`, 'oci-archive:around.tar:b']);
    await bench.ok(['copy', '-q', 'oci-archive:around.tar:b', 'store:around:c']);
    await bench.ok(['copy', '-q', 'around:c', 'oci:around:d']);
    const { digest } = image.index;
    for (const blob of [...image.blobs, ...image.signature.blobs, ...image.sbom.blobs])
      expect(readFileSync(bench.path(`around/blobs/sha256/${hexOf(blob.digest)}`)).equals(blob.bytes)).toBe(true);
    const index = JSON.parse(readFileSync(bench.path('around/index.json'), 'utf8')) as { manifests: object[] };
    expect(index.manifests).toHaveLength(3);
    expect(index.manifests[0]).toMatchObject({ digest, annotations: { 'org.opencontainers.image.ref.name': 'd' } });
    expect(index.manifests).toContainEqual(
      expect.objectContaining({ digest: image.signature.manifest.digest, artifactType: SIGNATURE }),
    );
    // Others read what was written.
    await skopeo('copy', '-q', '--all', `oci:${bench.path('around')}:d`, `dir:${bench.path('dir')}`);
    expect((await bench.tool(['umoci', 'ls', '--layout', 'around'])).trim()).toBe('d');
    expect(await raw(`oci-archive:${bench.path('around.tar')}:b`)).toBe(image.index.bytes.toString());
    // What refers to an image in the store stays there with it.
    await bench.ok(['prune', '--all', '--force']);
    expect(await bench.damage()).toEqual([]);
    await bench.ok(['copy', '-q', 'store:around:c', `${name}:e`]);
    expect(await raw(`docker://${name}:e`)).toBe(image.index.bytes.toString());
  });

  test('referrers are found by the tag that stands for them, and by the API where there is one', async () => {
    const { bench } = use;
    const image = wholeImage('signed');
    const from = layout(image);
    const name = newName();
    await bench.ok(['copy', '-q', `oci:${from}:1`, name]);
    const list = JSON.parse(await raw(`docker://${name}:${referrersTag(image.index.digest)}`)) as {
      manifests: object[];
    };
    expect(list.manifests).toEqual([
      expect.objectContaining({ digest: image.signature.manifest.digest, artifactType: SIGNATURE }),
    ]);
    // The signature is there before anybody can find the image by its name.
    const written = held.watched.requests.filter(({ method, url }) => method === 'PUT' && url.includes('/manifests/'));
    expect(written.at(-1)?.url).toMatch(/\/manifests\/latest$/);

    const serving = bench.tsbuildStart(['serve', '--addr=127.0.0.1:0', '-q'], { store: bench.path('served') });
    await serving.prints(/on http:\/\/\S+/);
    const host = /on http:\/\/([^\s,]+)/.exec(serving.text())?.[1] ?? '';
    await bench.ok(['copy', '-q', name, `${host}/there/app:1`]);
    const asked = await fetch(`http://${host}/v2/there/app/referrers/${image.arm64.manifest.digest}`);
    expect(await asked.json()).toMatchObject({ manifests: [{ digest: image.sbom.manifest.digest }] });
    await bench.ok(['copy', '-q', `${host}/there/app:1`, 'oci:back:1']);
    expect(readdirSync(bench.path('back/blobs/sha256'))).toContain(hexOf(image.signature.manifest.digest));
    await bench.ok(['copy', '-q', '--no-referrers', `${host}/there/app:1`, 'oci:bare:1']);
    expect(readdirSync(bench.path('bare/blobs/sha256'))).not.toContain(hexOf(image.signature.manifest.digest));
    serving.child.kill('SIGTERM');
    await serving.ended;
  });

  test('within a registry nothing is sent, and what is there is not asked for twice', async () => {
    const { bench } = use;
    const image = wholeImage('within', randomBytes(300_000));
    const [name, other] = [newName(), newName()];
    await bench.ok(['copy', '-q', `oci:${layout(image)}:1`, `${name}:1`]);
    held.watched.requests.length = 0;
    const first = await bench.ok(['copy', '--progress=plain', `${name}:1`, `${other}:2`], { store: bench.path('new') });
    expect(first.err).toMatch(/blobs: \d+ mounted from another repository done/);
    expect(sentBlobs()).toEqual([]);
    const moved = held.watched.requests.reduce((sum, { sent, received }) => sum + sent + received, 0);
    expect(moved).toBeLessThan(60_000);
    expect(await raw(`docker://${other}:2`)).toBe(image.index.bytes.toString());
    const again = await bench.ok(['copy', '--progress=plain', `${name}:1`, `${other}:3`]);
    expect(again.err).toMatch(/blobs: \d+ there done/);
  });

  test('one platform, the index alone, and more tags', async () => {
    const { bench } = use;
    const image = wholeImage('parts');
    const from = `oci:${layout(image)}:1`;
    const name = newName();
    const tags = ['--additional-tag', '2', '--additional-tag', `${name}:3`, '--digestfile', 'digest'];
    await bench.ok(['copy', '-q', '--platform=linux/arm64', ...tags, from, `${name}:1`]);
    for (const tag of ['1', '2', '3'])
      expect(await raw(`docker://${name}:${tag}`)).toBe(image.arm64.manifest.bytes.toString());
    expect(readFileSync(bench.path('digest'), 'utf8')).toBe(image.arm64.manifest.digest);
    await bench.ok(['copy', '-q', '--multi-arch=index-only', from, 'oci:alone:1']);
    expect(readdirSync(bench.path('alone/blobs/sha256'))).toEqual([hexOf(image.index.digest)]);
    const none = await bench.tsbuild(['copy', '-q', '--platform=linux/s390x', from, `${name}:4`]);
    expect(none).toMatchObject({ code: 1, err: expect.stringContaining('linux/amd64, linux/arm64') as string });
    await bench.ok(['copy', '-q', '--all-platforms', from, `${name}:4`]);
    expect(await raw(`docker://${name}:4`)).toBe(image.index.bytes.toString());
    const both = await bench.tsbuild(['copy', '--all', '--platform=linux/arm64', from, `${name}:5`]);
    expect(both).toMatchObject({ code: 2, err: expect.stringContaining('exclude each other') as string });
  });

  test("docker's archives: skopeo reads them, and what docker wrote is taken", async () => {
    const { bench } = use;
    const image = wholeImage('docker');
    const from = `oci:${layout(image)}:1`;
    const one = ['--platform=linux/amd64', '--additional-tag=app/docker:two'];
    await bench.ok(['copy', '-q', ...one, from, 'docker-archive:d.tar:app/docker:one']);
    const seen = JSON.parse(
      await skopeo('inspect', `docker-archive:${bench.path('d.tar')}:docker.io/app/docker:two`),
    ) as {
      Layers: string[];
    };
    expect(seen.Layers).toHaveLength(2);
    const whole = await bench.tsbuild(['copy', '-q', '--all', from, 'docker-archive:e.tar:app:1']);
    expect(whole).toMatchObject({ code: 2, err: expect.stringContaining('--platform') as string });
    expect(existsSync(bench.path('e.tar'))).toBe(false);
    // skopeo writes what docker save wrote: no manifest, layers as they are unpacked.
    await skopeo(
      'copy',
      '-q',
      `oci-archive:${bench.path('d.tar')}:one`,
      `docker-archive:${bench.path('plain.tar')}:app/plain:1`,
    );
    const name = newName();
    await bench.ok(['copy', '-q', 'docker-archive:plain.tar:app/plain:1', `${name}:1`]);
    const manifest = JSON.parse(await raw(`docker://${name}:1`)) as { config: { digest: string }; layers: object[] };
    expect(manifest.config.digest).toBe(image.amd64.config.digest);
    expect(manifest.layers).toEqual([
      expect.objectContaining({ mediaType: expect.stringMatching(/tar\+gzip$/) as string }),
      expect.objectContaining({ mediaType: expect.stringMatching(/tar\+gzip$/) as string }),
    ]);
    const wrong = await bench.tsbuild(['copy', '-q', 'docker-archive:plain.tar:app/other:1', `${name}:2`]);
    expect(wrong).toMatchObject({ code: 1, err: expect.stringMatching(/it has ".*app\/plain:1"/) as string });
    const kind = await bench.tsbuild(['copy', '-q', 'oci-archive:plain.tar', `${name}:2`]);
    expect(kind).toMatchObject({ code: 1, err: expect.stringContaining('docker-archive:FILE') as string });
    expect((await bench.ok(['images'])).out).not.toContain('tsbuild-run');
  });

  test('the form of manifests changes when that is asked for', async () => {
    const { bench } = use;
    const image = wholeImage('form');
    const from = `oci:${layout(image)}:1`;
    const name = newName();
    await bench.ok(['copy', '-q', '--format=v2s2', '--platform=linux/amd64', from, `${name}:1`]);
    expect(JSON.parse(await raw(`docker://${name}:1`))).toMatchObject({
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      config: { digest: image.amd64.config.digest },
    });
    const kept = ['--format=v2s2', '--preserve-digests', '--platform=linux/amd64'];
    const refused = await bench.tsbuild(['copy', '-q', ...kept, from, `${name}:2`]);
    expect(refused).toMatchObject({ code: 2, err: expect.stringContaining('its digest would change') as string });
    await bench.ok(['copy', '-q', '--format=oci', `${name}:1`, 'oci:form:1']);
    expect(await raw(`oci:${bench.path('form')}:1`)).toContain('application/vnd.oci.image.layer.v1.tar+gzip');
  });

  test('one that failed is repeated, and sends what is missing', async () => {
    const { bench } = use;
    const image = wholeImage('again', randomBytes(200_000));
    const from = `oci:${layout(image)}:1`;
    const name = newName();
    const { digest } = image.amd64.layers[1] ?? image.index;
    held.watched.refuse = ({ method, url }) =>
      (method === 'PUT' || method === 'PATCH' || method === 'POST') && url.includes(encodeURIComponent(digest))
        ? 403
        : undefined;
    const failed = await bench.tsbuild(['copy', '-q', from, `${name}:1`]);
    expect(failed.code).toBe(1);
    expect(failed.err).toContain(held.watched.host);
    expect(held.watched.requests.filter(({ url, method }) => method === 'PUT' && url.includes('/manifests/'))).toEqual(
      [],
    );
    held.watched.refuse = () => undefined;
    await bench.ok(['copy', '-q', from, `${name}:1`]);
    held.watched.requests.length = 0;
    // The way back: a layer cannot be read at first.
    held.watched.refuse = ({ url }) => (url.endsWith(`/blobs/${digest}`) ? 404 : undefined);
    const broken = await bench.tsbuild(['copy', '-q', `${name}:1`, 'oci:again:1']);
    expect(broken.code).toBe(1);
    expect(existsSync(bench.path('again/index.json'))).toBe(false);
    expect((await bench.tsbuild(['copy', '-q', `${name}:1`, 'oci-archive:again.tar:1'])).code).toBe(1);
    expect(readdirSync(bench.dir).filter((file) => file.includes('again.tar'))).toEqual([]);
    held.watched.refuse = () => undefined;
    held.watched.requests.length = 0;
    const { err } = await bench.ok(['copy', '--progress=plain', `${name}:1`, 'oci:again:1']);
    expect(err).toMatch(/blobs: .*there/);
    expect(readdirSync(bench.path('again/blobs/sha256')).filter((file) => !/^[0-9a-f]{64}$/.test(file))).toEqual([]);
    expect(await raw(`oci:${bench.path('again')}:1`)).toBe(image.index.bytes.toString());
  });

  test('a layout with a wrong or missing blob is refused, and nothing is named', async () => {
    const { bench } = use;
    const image = wholeImage('bad');
    const name = newName();
    const from = layout(image);
    const blob = bench.path(`${from}/blobs/sha256/${hexOf(image.arm64.layers[0]?.digest ?? image.index.digest)}`);
    const right = readFileSync(blob);
    writeFileSync(blob, Buffer.from(right).fill(0, 20, 30));
    for (const dest of [`${name}:1`, 'oci:bad:1', 'oci-archive:bad.tar:1', 'store:bad:1']) {
      const { code, err } = await bench.tsbuild(['copy', '-q', `oci:${from}:1`, dest]);
      expect([dest, code]).toEqual([dest, 1]);
      expect(err).toMatch(/digest/);
    }
    rmSync(blob);
    const missing = await bench.tsbuild(['copy', '-q', `oci:${from}:1`, 'store:bad:1']);
    expect(missing).toMatchObject({
      code: 1,
      err: expect.stringContaining(hexOf(image.arm64.layers[0]?.digest ?? image.index.digest)) as string,
    });
    expect(existsSync(bench.path('bad.tar'))).toBe(false);
    expect(existsSync(bench.path('bad/index.json'))).toBe(false);
    expect((await bench.ok(['images'])).out).not.toContain('bad:1');
    expect((await bench.tsbuild(['inspect', '--raw', `docker://${name}:1`])).code).toBe(1);
    expect(await bench.damage()).toEqual([]);
  });

  test('credentials are of one side, and wrong usage says what to type', async () => {
    const { bench } = use;
    await using guarded = await startRegistry({ password: true });
    const image = wholeImage('guarded');
    const from = `oci:${layout(image)}:1`;
    const creds = `${REGISTRY_USER.username}:${REGISTRY_USER.password}`;
    const name = `${guarded.host}/team/app`;
    const denied = await bench.tsbuild(['copy', '-q', from, `${name}:1`]);
    expect(denied).toMatchObject({ code: 1, err: expect.stringContaining(`tsbuild login ${guarded.host}`) as string });
    await bench.ok(['copy', '-q', '--dest-creds', creds, from, `${name}:1`]);
    await bench.ok(['copy', '-q', '--src-creds', creds, `${name}:1`, newName()]);
    await bench.ok(['copy', '-q', '--src-creds', creds, '--dest-creds', creds, `${name}:1`, `${guarded.host}/b:1`]);
    await bench.ok(['login', '-u', REGISTRY_USER.username, '-p', REGISTRY_USER.password, guarded.host]);
    await bench.ok(['copy', '-q', `${name}:1`, 'oci:guarded:1']);
    expect((await bench.tsbuild(['copy', '-q', '--src-no-creds', `${name}:1`, 'oci:guarded:2'])).code).toBe(1);
    for (const [args, hint] of [
      [['dir:x', 'oci:y'], /oci:DIR/],
      [['ftp://x', 'oci:y'], /docker:\/\/NAME/],
      [[from, `h.io/a@${image.index.digest.replace(/.$/, '0')}`], /write a tag/],
      [['--sign-by=x', from, 'oci:y'], /neither made nor checked/],
      [['--dest-compress-format=zstd', from, 'oci:y'], /tsbuild push --compression/],
      [['--override-arch=arm64', from, 'oci:y'], /--platform/],
    ] as const) {
      const { code, err } = await bench.tsbuild(['copy', ...args]);
      expect([args.join(' '), code]).toEqual([args.join(' '), 2]);
      expect(err).toMatch(hint);
    }
    const unknown = await bench.tsbuild(['copy', '-q', 'store:nothing', 'oci:y']);
    expect(unknown).toMatchObject({ code: 1, err: expect.stringContaining('no such image') as string });
  });
});
