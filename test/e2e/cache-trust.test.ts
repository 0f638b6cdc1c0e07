import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { Outcome, RunOptions } from '../support/bench.ts';
import { useBench } from '../support/e2e.ts';
import { tar } from '../support/image.ts';
import { ordinaryUser } from '../support/identity.ts';
import { stepsOf } from '../support/steps.ts';
import { readOciArchive, type Tree } from '../support/tree.ts';
import { WebServer } from '../support/web-server.ts';

// Who builds makes no difference to what a cache is trusted with.
const who = await ordinaryUser();

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('what a cache is trusted with', () => {
  const use = useBench(who);

  const newStore = (): Promise<string> => use.bench.otherStore();

  async function build(
    context: string,
    args: readonly string[] = [],
    options: RunOptions = {},
  ): Promise<Outcome & { readonly tree: Tree; readonly image: string }> {
    const outcome = await use.bench.ok(
      ['build', '--progress=plain', '-o', 'type=oci,dest=-', ...args, context],
      options,
    );
    const { tree, digest } = await readOciArchive(outcome.stdout);
    return { ...outcome, tree, image: digest };
  }

  /** The documents of a cache in a directory: its manifest, its config, and how to write them back. */
  function open(dir: string) {
    const blobs = join(dir, 'blobs/sha256');
    const read = (digest: string): Buffer => readFileSync(join(blobs, digest.slice(7)));
    const put = (bytes: Buffer): { digest: string; size: number } => {
      writeFileSync(join(blobs, sha256(bytes)), bytes);
      return { digest: `sha256:${sha256(bytes)}`, size: bytes.length };
    };
    type Part = { digest: string; size: number; mediaType: string };
    const index = JSON.parse(readFileSync(join(dir, 'index.json'), 'utf8')) as { manifests: [Part] };
    const manifest = JSON.parse(read(index.manifests[0].digest).toString()) as { config: Part; layers: Part[] };
    const config = JSON.parse(read(manifest.config.digest).toString()) as {
      layers: { blob: string; annotations: Record<string, unknown> }[];
    };
    const save = (): void => {
      Object.assign(manifest.config, put(Buffer.from(JSON.stringify(config))));
      Object.assign(index.manifests[0], put(Buffer.from(JSON.stringify(manifest))));
      writeFileSync(join(dir, 'index.json'), JSON.stringify(index));
    };
    return { index, manifest, config, read, put, save };
  }

  test('a forged one, sound in itself, is used where it is named and nowhere else (CAC-01)', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo good > /good\n');
    await build(context, ['--cache-to=type=buildkit,dest=forged'], { store: await newStore() });
    const { manifest, config, read, put, save } = open(bench.path('forged'));
    for (const part of manifest.layers) {
      if (!gunzipSync(read(part.digest)).includes('good')) continue;
      const bytes = tar([{ name: 'pwned', content: 'x' }]);
      const entry = config.layers.find(({ blob }) => blob === part.digest)!;
      Object.assign(part, put(gzipSync(bytes)));
      Object.assign(entry, { blob: part.digest });
      Object.assign(entry.annotations, { diffID: `sha256:${sha256(bytes)}`, size: part.size });
    }
    save();
    // The writer of a cache that is named decides what is built, where no keys are: docs say so.
    const named = await build(context, ['--cache-from=type=local,src=forged'], { store: await newStore() });
    expect(Object.keys(named.tree)).toContain('/pwned');
    for (const args of [[], ['--cache-from=type=local,src=elsewhere']]) {
      const { tree } = await build(context, args, { store: await newStore(), cwd: bench.path('.') });
      expect(Object.keys(tree)).toContain('/good');
      expect(Object.keys(tree)).not.toContain('/pwned');
    }
  });

  test('is only written where that was asked for, and read without a change (CAC-02)', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo one > /one\n');
    await build(context, ['--cache-to=type=buildkit,dest=readonly'], { store: await newStore() });
    const state = (): unknown => readdirSync(bench.path('readonly'), { recursive: true, encoding: 'utf8' }).map((name) => {
      const path = join(bench.path('readonly'), name);
      return [name, existsSync(path) && !path.endsWith('sha256') && !path.endsWith('blobs') ? sha256(readFileSync(path)) : ''];
    });
    const before = state();
    await using server = await serveCache(bench.path('readonly'));
    for (const from of ['type=local,src=readonly', `${server.url.slice(7)}/cache`]) {
      const other = bench.context(`FROM base:1\nRUN echo one > /one\nRUN echo other > /two\n`);
      expect(stepsOf(await build(other, [`--cache-from=${from}`], { store: await newStore() })).cached).toHaveLength(1);
    }
    expect(state()).toEqual(before);
    expect(new Set(server.seen.map(({ method }) => method))).toEqual(new Set(['GET']));
  }); // oxfmt-ignore

  /** A registry with one cache, to which only some credentials lead. */
  async function serveCache(dir: string, allowed?: () => string): Promise<WebServer> {
    return WebServer.start((request, response) => {
      const { index, read } = open(dir);
      const path = request.url ?? '';
      const wanted = allowed?.();
      if (wanted !== undefined && request.headers.authorization !== `Basic ${Buffer.from(wanted).toString('base64')}`) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end();
      } else if (path === '/v2/') response.end('{}');
      else if (/^\/v2\/cache\/manifests\/(?:latest|sha256:)/.test(path)) {
        const [{ mediaType, digest }] = index.manifests;
        response.writeHead(200, { 'content-type': mediaType, 'docker-content-digest': digest }).end(read(digest));
      } else if (path.startsWith('/v2/cache/blobs/')) response.end(read(path.slice('/v2/cache/blobs/'.length)));
      else response.writeHead(404).end();
    });
  }

  test('layers that are fetched later come with the credentials of the build that wants them (CAC-13)', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo one > /one\n');
    await build(context, ['--cache-to=type=buildkit,dest=private'], { store: await newStore() });
    let allowed = 'first:secret';
    await using server = await serveCache(bench.path('private'), () => allowed);
    const host = server.url.slice('http://'.length);
    const as = (user: string) => {
      const auth = Buffer.from(user).toString('base64');
      bench.write('.', { 'auth.json': JSON.stringify({ auths: { [host]: { auth } } }) });
      return { REGISTRY_AUTH_FILE: bench.path('auth.json') };
    };
    const store = await newStore();
    const from = `--cache-from=${host}/cache`;
    // A check of the cache alone: nothing needs the files of a layer.
    await bench.ok(['build', '--progress=plain', '-o', 'type=cacheonly', from, context], { store, env: as('first:secret') });
    const blobs = () => server.seen.filter(({ path }) => path.includes('/blobs/')).map(({ headers }) => headers.authorization);
    allowed = 'second:secret';
    server.seen.splice(0);
    writeFileSync(join(context, 'Dockerfile'), 'FROM base:1\nRUN echo one > /one\nRUN cp /one /two\n');
    const built = await build(context, [from], { store, env: as('second:secret') });
    expect(built.tree['/two']?.content).toBe('one\n');
    expect(blobs().length).toBeGreaterThan(0);
    expect(new Set(blobs().filter(Boolean))).toEqual(new Set([`Basic ${Buffer.from(allowed).toString('base64')}`]));
    // Without credentials that are let in the layers are built, whatever the first build was let see.
    const lost = await newStore();
    await bench.ok(['build', '-o', 'type=cacheonly', from, context], { store: lost, env: as('second:secret') });
    allowed = 'nobody:else';
    const without = await build(context, [from], { store: lost, env: as('second:secret') });
    expect(without.tree['/two']?.content).toBe('one\n');
  }); // oxfmt-ignore

  test('a stage that was built anew is another one to all that read it (CAC-14)', async () => {
    const { bench } = use;
    const dockerfile = `FROM base:1 AS a
COPY file /file
RUN cp /file /made
FROM base:1
COPY --from=a /made /copied
RUN --mount=from=a,target=/a cat /a/made > /mounted
RUN --mount=from=a,source=/made,target=/b cat /b > /selected
COPY --link --from=a /made /linked
`;
    const context = bench.context(dockerfile, { file: 'one' });
    for (const text of ['one', 'two', 'one', 'three']) {
      writeFileSync(join(context, 'file'), text);
      const { tree } = await build(context);
      for (const name of ['/copied', '/mounted', '/selected', '/linked'])
        expect([name, tree[name]?.content]).toEqual([name, text]);
    }
  });

  test('steps that failed or were stopped are not in it, whatever they wrote and where (CAC-15)', async () => {
    const { bench } = use;
    const cache = '--mount=type=cache,target=/c,id=tries';
    const context = bench.context(
      `FROM base:1\nRUN ${cache} echo x >> /c/tries; echo half > /half; [ "$(wc -l < /c/tries)" -ge 3 ]\n`,
    );
    for (const code of [1, 1, 0])
      expect((await bench.tsbuild(['build', '-o', 'type=cacheonly', context])).code).toBe(code);
    expect((await build(context)).err).toContain('CACHED');

    const slow = bench.context(
      `FROM base:1\nRUN ${cache} echo begun; echo half > /half; [ -e /c/go ] || sleep 33\nRUN ${cache} cp /half /whole\n`,
    );
    const running = bench.tsbuildStart(['build', '--progress=plain', '-o', 'type=cacheonly', slow]);
    await running.prints(/^#\d+ [\d.]+ begun/m);
    running.child.kill('SIGINT');
    expect((await running.ended).code).toBe(130);
    await bench.ok(['build', '-o', 'type=cacheonly', bench.context(`FROM base:1\nRUN ${cache} touch /c/go\n`)]);
    const again = await build(slow);
    expect(stepsOf(again).cached).toEqual([]);
    expect(again.tree['/whole']?.content).toBe('half\n');
    // Mounts are no part of the result.
    expect(Object.keys(again.tree).filter((name) => name.startsWith('/c/'))).toEqual([]);
  });

  test('the same text on other bases, and what only the config tells, give no image of another build (CAC-04)', async () => {
    const { bench } = use;
    bench.write('.', { 'other.tar': tar([{ name: 'other', content: 'x' }]) });
    await bench.ok(['import', 'other.tar', '-t', 'other:1']);
    const seen = new Map<string, string>();
    const tails = ['', 'HEALTHCHECK CMD x', 'HEALTHCHECK CMD y', 'HEALTHCHECK NONE', 'ONBUILD RUN x', 'STOPSIGNAL 9', 'VOLUME /v', 'LABEL a=b', 'LABEL a=c', 'EXPOSE 1', 'EXPOSE 2', 'CMD x', 'CMD ["x"]', 'ENTRYPOINT ["x"]', 'USER 1', 'SHELL ["x"]', 'ENV a=b'];
    const kinds = [...tails.map((tail) => ['scratch', tail] as const), ['base:1', ''] as const, ['other:1', ''] as const];
    // The first fills the cache for the others.
    const one = ([base, tail]: (typeof kinds)[number]) => build(bench.context(`FROM ${base}\nCOPY file /file\n${tail}\n`, { file: 'x' }));
    await one(['scratch', '']);
    const built = await Promise.all(kinds.map(one));
    for (const [at, { image, tree }] of built.entries()) {
      const [base, tail] = kinds[at]!;
      expect(seen.get(image), `${base} ${tail}`).toBeUndefined();
      seen.set(image, `${base} ${tail}`);
      expect(Object.hasOwn(tree, '/bin/sh')).toBe(base === 'base:1');
      expect(Object.hasOwn(tree, '/other')).toBe(base === 'other:1');
    }
    rmSync(bench.path('other.tar'));
  }); // oxfmt-ignore
});
