import { chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeAsRoot, useBench } from '../support/e2e.ts';
import { isRecalled } from '../support/recalled.ts';
import { startRegistry } from '../support/registry.ts';
import { expectSound } from '../support/sound.ts';
import { stepsOf } from '../support/steps.ts';
import { readOciArchive } from '../support/tree.ts';

// Files of several owners: on the disk of root's store they have other ids than in the image.
const DOCKERFILE = `FROM base:1
COPY --chown=alice file /file
RUN echo made > /made && chown bob /made && chmod 4750 /made && rm /etc/group
`;
const OWNERS = { '/file': [1000, 1000], '/made': [1001, 0] };

describeAsRoot('what is tested as an ordinary user', (who) => {
  const use = useBench(who);
  let context: string;

  async function built(args: readonly string[], store?: string) {
    const outcome = await use.bench.ok(
      ['build', '--progress=plain', '-o', 'type=oci,dest=-', ...args, context],
      store === undefined ? {} : { store },
    );
    const { tree, digest } = await readOciArchive(outcome.stdout);
    const owners = Object.fromEntries(Object.keys(OWNERS).map((path) => [path, [tree[path]?.uid, tree[path]?.gid]]));
    expect(owners).toEqual(OWNERS);
    expect(tree['/made']?.mode).toBe(0o4750);
    return { ...stepsOf(outcome), digest };
  }

  test('a container that may not write to a directory of root’s says so when it fails', async () => {
    const { bench } = use;
    const dir = bench.write('of-root', { file: 'x' });
    const at = (...options: string[]) => [
      'run',
      '--rm',
      '-q',
      ...options,
      'base:1',
      'sh',
      '-c',
      'cat /x/file; touch /x/new',
    ];
    const hint = /^hint: the container may not write to .*\/of-root: it belongs to id 0, .*"chown \d+ .*\/of-root"/m;
    for (const options of [
      ['-v', `${dir}:/x`],
      ['--name', 'kept', '-v', `${dir}:/x`],
    ]) {
      const { code, out, err } = await bench.tsbuild(at(...options));
      expect([code, out]).toEqual([1, 'x']);
      expect(err).toMatch(hint);
    }
    expect((await bench.tsbuild(at('-v', `${dir}:/x:ro`))).err).not.toContain('hint:');
    expect((await bench.tsbuild(['run', '--rm', '-q', '-v', `${dir}:/x`, 'base:1', 'cat', '/x/file'])).err).toBe('');
    // What the hint says helps.
    const [, id = ''] = /chown (\d+) /.exec((await bench.tsbuild(at('-v', `${dir}:/x`))).err) ?? [];
    chownSync(dir, Number(id), Number(id));
    expect((await bench.ok(at('-v', `${dir}:/x`))).out).toBe('x');
  });

  test('a cache in a registry, a directory and the image itself gives another store all steps', async () => {
    const { bench } = use;
    context = bench.context(DOCKERFILE, { file: 'one' });
    await using registry = await startRegistry();
    const ref = `${registry.host}/cache/app:main`;
    const first = await built([`--cache-to=type=registry,ref=${ref}`, '--cache-to=type=local,dest=cache']);
    expect(first.ran).toHaveLength(2);
    await bench.ok(['build', '-q', '--push', '-t', `${registry.host}/app:1`, '--cache-to=type=inline', context]);
    for (const [at, from] of [ref, 'type=local,src=cache', `${registry.host}/app:1`].entries()) {
      const store = bench.path(`other-${at}`);
      await bench.makeStore(store);
      const again = await built([`--cache-from=${from}`], store);
      expect([from, again.ran, again.digest]).toEqual([from, [], first.digest]);
      expect(await bench.damage(store)).toEqual([]);
    }
  });

  test('what is pushed is pulled, run, verified and inspected', async () => {
    const { bench } = use;
    context = bench.context(DOCKERFILE, { file: 'two' });
    await using registry = await startRegistry();
    const name = `${registry.host}/team/app:1`;
    await bench.ok(['build', '-q', '--reproducible', '--push', '-t', name, context]);
    const store = bench.path('pulled');
    await bench.ok(['pull', '-q', name], { store });
    const { out } = await bench.ok(['run', '--network=none', name, 'stat', '-c', '%u:%g %a', '/file', '/made'], {
      store,
    });
    expect(out).toBe('1000:1000 644\n1001:0 4750\n');
    const verified = await bench.ok(['verify', '--progress=quiet', name, context]);
    expect(verified.out).toContain('it is the same: sha256:');
    const inspected = JSON.parse((await bench.ok(['inspect', name], { store })).out) as { Os: string }[];
    expect(inspected).toMatchObject([{ Os: 'linux', RootFS: { Type: 'layers' } }]);
    expect(await bench.damage(store)).toEqual([]);
  });

  test('a build is remembered, and is again what it was', async () => {
    const { bench } = use;
    context = bench.context(DOCKERFILE, { file: 'three' });
    const digests = new Set([(await built([])).digest, (await built([])).digest]);
    expect(await isRecalled(bench, async () => digests.add((await built([])).digest))).toBe(true);
    expect(digests.size).toBe(1);
    await expectSound(bench);
  });

  test('why steps run again is told', async () => {
    const { bench } = use;
    context = bench.context(DOCKERFILE, { file: 'five' });
    await built([]);
    writeFileSync(join(context, 'file'), 'six');
    const { err } = await bench.ok(['build', '--explain', '--progress=plain', context]);
    expect(err).toContain('missed: file changed (sha256 ');
    expect((await bench.ok(['explain', '--context', context])).out).toContain(
      'COPY --chown=alice file /file missed: file changed (sha256 ',
    );
  });

  test('prune and store check wait for who works on the store', async () => {
    const { bench } = use;
    context = bench.context(DOCKERFILE, { file: 'four' });
    await Promise.all([built([]), bench.ok(['prune', '--force']), bench.ok(['store', 'check'])]);
    await expectSound(bench);
  });
});
