import { existsSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Bench } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { tar } from '../support/image.ts';
import { readOciArchive, type Tree } from '../support/tree.ts';

/** Builds into an archive and gives the files of the image. */
async function filesOf(
  bench: Bench,
  context: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Tree> {
  await bench.ok(['build', '--progress=plain', ...args, '-o', 'type=oci,dest=out.tar', context], { env });
  return (await readOciArchive(bench.path('out.tar'))).tree;
}

describeAsEveryone('what BuildKit does in corners', (who) => {
  const use = useBench(who);

  test('a cache mount that starts with other files is another one; --no-cache empties it once', async () => {
    const { bench } = use;
    const context = bench.context(`FROM base:1 AS work
ARG FILE=one
RUN --mount=type=cache,target=/cache,mode=0777 touch /cache/$FILE && ls -ld /cache | cut -c1-10 > /mode
RUN --mount=type=cache,target=/cache touch /cache/plain
RUN --mount=type=cache,target=/cache ls -d /cache/* > /plain
RUN --mount=type=cache,target=/cache,mode=0777 ls /cache > /open
FROM scratch
COPY --from=work /mode /plain /open /
`);
    const first = await filesOf(bench, context);
    expect(first['/mode']?.content).toBe('drwxrwxrwx\n');
    expect(first['/plain']?.content).toBe('/cache/plain\n');
    expect(first['/open']?.content).toBe('one\n');
    expect((await filesOf(bench, context, ['--build-arg=FILE=two']))['/open']?.content).toBe('one\ntwo\n');
    expect((await filesOf(bench, context, ['--build-arg=FILE=three', '--no-cache']))['/open']?.content).toBe('three\n');
    expect((await filesOf(bench, context, ['--build-arg=FILE=four']))['/open']?.content).toBe('four\nthree\n');
  });

  test('--no-cache-filter runs the steps of the stages that it names again', async () => {
    const { bench } = use;
    const step = 'head -c 8 /dev/urandom | hexdump > /out';
    const context = bench.context(
      `FROM base:1 AS a\nRUN : a; ${step}\nFROM base:1 AS b\nRUN : b; ${step}\nFROM scratch\nCOPY --from=a /out /a\nCOPY --from=b /out /b\n`,
    );
    const before = await filesOf(bench, context);
    const after = await filesOf(bench, context, ['--no-cache-filter=b,c']);
    expect(after['/a']).toEqual(before['/a']);
    expect(after['/b']).not.toEqual(before['/b']);
  });

  test('-f Dockerfile finds a file called "dockerfile"', async () => {
    const { bench } = use;
    const context = bench.write('lower', { dockerfile: 'FROM scratch\nCOPY f /\n', f: 'x' });
    expect(Object.keys(await filesOf(bench, context, ['-f', `${context}/Dockerfile`]))).toContain('/f');
    expect(Object.keys(await filesOf(bench, context))).toContain('/f');
    const { code, err } = await bench.tsbuild(['build', '-f', `${context}/Containerfile`, context]);
    expect([code, err]).toEqual([1, expect.stringContaining('it does not exist')]);
  });

  test('a directory made by WORKDIR below one with the setgid bit has it too', async () => {
    const { bench } = use;
    const context = bench.context(
      'FROM base:1\nRUN mkdir /srv && chown alice:staff /srv && chmod 2775 /srv\nUSER alice\nWORKDIR /srv/a\nRUN touch f\n',
    );
    const tree = await filesOf(bench, context);
    expect(tree['/srv/a']).toMatchObject({ mode: 0o2755, uid: 1000, gid: 1000 });
  });

  test('--network=host is permission enough for what it does', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN --network=default true\nRUN --network=host true\n');
    const refused = await bench.tsbuild(['build', context]);
    expect([refused.code, refused.err]).toEqual([
      1,
      expect.stringContaining('entitlement network.host is not allowed'),
    ]);
    await bench.ok(['build', '--network=host', context]);
  });

  test('secrets from variables: by name, implied by the id, and one that is not set', async () => {
    const { bench } = use;
    const context = bench.context(`FROM base:1
RUN --mount=type=secret,id=a cat /run/secrets/a > /a
RUN --mount=type=secret,id=B cat /run/secrets/B > /b
RUN --mount=type=secret,id=c,required=true cat /run/secrets/c > /c
`);
    const secrets = ['--secret=id=a,type=env,src=NAME', '--secret=id=B', '--secret=id=c,env=NOT_SET'];
    const tree = await filesOf(bench, context, secrets, { NAME: 'value', B: 'implied' });
    expect([tree['/a'], tree['/b'], tree['/c']].map((entry) => entry?.content)).toEqual(['value', 'implied', '']);
    const { err } = await bench.ok(['build', '--progress=plain', ...secrets, context], {
      env: { NAME: 'value', B: 'implied' },
    });
    expect(err).toContain('Secret "c" is empty: the environment has no variable "NOT_SET"');
    const wrong = await bench.tsbuild(['build', '--secret=id=a,file=x', context]);
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('unexpected "file=x"')]);
  });

  test('a file with other content and the same name, size and time is another file', async () => {
    const { bench } = use;
    const context = bench.context('FROM scratch\nCOPY f /\n', { f: 'one' });
    const time = new Date(1_600_000_000_000);
    utimesSync(`${context}/f`, time, time);
    expect((await filesOf(bench, context))['/f']?.content).toBe('one');
    writeFileSync(`${context}/f`, 'two');
    utimesSync(`${context}/f`, time, time);
    expect((await filesOf(bench, context))['/f']?.content).toBe('two');
  });

  test('owners beyond 65535 in archives are kept by root and explained to others', async () => {
    const { bench } = use;
    const archive = tar([{ name: 'f', content: 'x', uid: 491_327, gid: 89_939 }]);
    const context = bench.context('FROM base:1\nADD a.tar /a/\nRUN stat -c %u:%g /a/f > /seen\n', { 'a.tar': archive });
    if (who.uid === 0) {
      const tree = await filesOf(bench, context);
      expect(tree['/a/f']).toMatchObject({ uid: 491_327, gid: 89_939 });
      expect(tree['/seen']?.content).toBe('491327:89939\n');
    } else {
      const { code, err } = await bench.tsbuild(['build', context]);
      expect([code, err]).toEqual([1, expect.stringContaining('ADD --chown=0:0')]);
    }
    const given = bench.context('FROM base:1\nADD --chown=5:6 a.tar /a/\n', { 'a.tar': archive });
    expect((await filesOf(bench, given))['/a/f']).toMatchObject({ uid: 5, gid: 6 });
  });

  test('--load and --rewrite-timestamp go with every image output', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo x > /f\n');
    const args = ['--source-date-epoch=1600000000', '--rewrite-timestamp', '--load', '-t', 'loaded:1'];
    const layers: unknown[] = [];
    for (const cache of [[], ['--no-cache']]) {
      await filesOf(bench, context, [...args, ...cache]);
      layers.push((await readOciArchive(bench.path('out.tar'))).manifest.layers);
    }
    expect(layers[1]).toEqual(layers[0]);
    expect((await bench.ok(['images'])).out).toContain('loaded');
  });

  test.each([
    ['--squash', 'COPY --from=<stage> / /'],
    ['--cache-from=type=inline', 'type=registry'],
    ['--timestamp=0', '--source-date-epoch'],
    ['--provenance=mode=max', '--provenance=false'],
  ])('%s is refused with a way out', async (option, hint) => {
    const { code, err } = await use.bench.tsbuild(['build', option, '.']);
    expect(code).toBe(2);
    expect(err).toContain('not supported');
    expect(err).toContain(hint);
  });

  test('--hostname is that of steps; --pull=never asks no registry; switches take a value', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN hostname > /name; grep -c named /etc/hosts >> /name\n');
    const args = ['--hostname=named', '--pull=never', '--no-cache=false', '--load=false'];
    expect((await filesOf(bench, context, args))['/name']?.content).toBe('named\n1\n');
    const wrong = await bench.tsbuild(['build', '--hostname=a/b', context]);
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('--hostname "a/b"')]);
    const far = await bench.tsbuild(['build', '--pull=never', bench.context('FROM 127.0.0.1:9/far:1\nRUN true\n')]);
    expect([far.code, far.err]).toEqual([1, expect.stringContaining('--pull=never asks no registry')]);
    expect(far.err).not.toContain('refused');
  });

  test('scripts that switch attestations off, or use switches of the old builder, work', async () => {
    const { bench } = use;
    await bench.ok([
      'build',
      '--rm',
      '--force-rm',
      '--compress',
      '-D',
      bench.context('FROM scratch\nCOPY Dockerfile /\n'),
    ]);
  });

  test('attestations that are switched off change nothing, and those that are asked for are refused (REP-14)', async () => {
    const { bench } = use;
    const context = bench.context('FROM scratch\nCOPY Dockerfile /\n');
    const env = { SOURCE_DATE_EPOCH: '1700000000' };
    const args = ['build', '-q', '-o', 'type=oci,dest=attest.tar', context];
    await bench.ok(args, { env });
    const plain = readFileSync(bench.path('attest.tar'));
    await bench.ok([...args, '--provenance=false', '--sbom=false'], { env });
    expect(readFileSync(bench.path('attest.tar')).equals(plain)).toBe(true);
    rmSync(bench.path('attest.tar'));
    for (const wanted of ['--provenance=mode=max', '--provenance=true', '--sbom=true', '--attest=type=sbom']) {
      const { code, err } = await bench.tsbuild([...args, wanted], { env });
      expect([code, err]).toEqual([2, expect.stringMatching(/attestations are not/)]);
    }
    expect(existsSync(bench.path('attest.tar'))).toBe(false);
  });
});
