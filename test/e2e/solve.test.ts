import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  encodeDefinition,
  image,
  local,
  marshal,
  type MarshalOptions,
  scratch,
  type State,
} from '../../src/llb/index.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { readOciArchive, readTar } from '../support/tree.ts';

const AMD64: MarshalOptions = { platform: { os: 'linux', architecture: 'amd64' } };

/** A Dockerfile with every kind of op. */
const MANY_KINDS = `FROM base:1 AS made
ARG WHO=world
ENV A=b
WORKDIR /made
COPY --chmod=750 --chown=5:6 dir/ /made/dir/
RUN --mount=type=bind,target=/ctx,ro --mount=type=cache,target=/cache --mount=type=tmpfs,target=/t cat /ctx/one > seen \\
  && echo $WHO > who && mkdir -p a/b && ln who a/hard && ln -s ../who a/soft && rm -r /made/dir/two
RUN <<SH
echo heredoc > doc
SH
FROM scratch AS inline
COPY <<one <<two /files/
1
one
2
two
FROM base:1
LABEL x=y
COPY --link --from=made /made /made
COPY --from=inline /files/o* /o/
ADD --link one /linked/
COPY --from=inline / /all/
COPY --exclude=one . /ctx/
USER 5:6
EXPOSE 80
CMD ["id"]
`;

describeAsEveryone('tsbuild solve', (who) => {
  const use = useBench(who);

  /** A file with what another program made of a state, as BuildKit's clients marshal it. */
  const definitionFile = (name: string, state: State): string =>
    join(use.bench.write('definitions', { [name]: encodeDefinition(marshal(state, AMD64)) }), name);
  const base = (): State => image('docker.io/library/base:1', AMD64);
  const step = (command: string): State => base().run({ args: ['/bin/sh', '-c', command] });

  test('builds what a Dockerfile compiles to, through a pipe, from the same cache', async () => {
    const context = use.bench.context('FROM base:1\nCOPY one /one\nRUN cat /one > /two\n', { one: '1' });
    const [built, solved] = [use.bench.path('built.tar'), use.bench.path('solved.tar')];
    await use.bench.ok(['build', '-o', `type=oci,dest=${built}`, context]);
    for (const format of ['binary', 'json']) {
      const { stdout } = await use.bench.ok(['llb', '--format', format, context]);
      const args = ['solve', '--progress=plain', '--local', `context=${context}`, '-o', `type=oci,dest=${solved}`];
      const { err } = await use.bench.ok(args, { stdin: stdout });
      expect(err).toMatch(/RUN cat \/one > \/two\n#\d+ CACHED/);
      const [a, b] = [await readOciArchive(built), await readOciArchive(solved)];
      expect(b.manifest.layers).toEqual(a.manifest.layers);
    }
  });

  test('makes of a Dockerfile’s graph and its config the image that a build makes, by digest, in another store', async () => {
    const context = use.bench.context(MANY_KINDS, {
      one: '1',
      'dir/two': '2',
      'dir/three': { text: '3', mode: 0o755 },
    });
    const [built, solved] = [use.bench.path('there.tar'), use.bench.path('here.tar')];
    const env = { SOURCE_DATE_EPOCH: '1700000000' };
    const output = (dest: string): string => `type=oci,dest=${dest},rewrite-timestamp=true`;
    await use.bench.ok(['build', '-o', output(built), context], { env });
    const { config, digest } = await readOciArchive(built);
    use.bench.write('config', { 'built.json': JSON.stringify(config) });
    const { stdout } = await use.bench.ok(['llb', context], { env });
    const args = ['--local', `context=${context}`, '--image-config', use.bench.path('config/built.json')];
    const store = await use.bench.otherStore();
    const { err } = await use.bench.ok(['solve', '--progress=plain', ...args, '-o', output(solved)], {
      env,
      store,
      stdin: stdout,
    });
    expect(err).not.toMatch(/RUN.*\n#\d+ CACHED/);
    expect((await readOciArchive(solved)).digest).toBe(digest);
  });

  test('gives the image the config that it is told, and runs', async () => {
    const file = definitionFile('run.bin', step('echo made > /made'));
    const config = { architecture: 'amd64', os: 'linux', config: { Cmd: ['/bin/cat', '/made'], Labels: { a: 'b' } } };
    use.bench.write('config', { 'image.json': JSON.stringify(config) });
    await use.bench.ok(['solve', file, '--image-config', use.bench.path('config/image.json'), '-t', 'solved:1']);
    expect((await use.bench.ok(['run', '--rm', 'solved:1'])).out).toBe('made\n');
    const plain = await use.bench.ok(['solve', file, '-q', '-t', 'solved:2']);
    expect(plain.out).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    const inspected = JSON.parse((await use.bench.ok(['inspect', 'solved:2'])).out) as [{ Config: { Env: string[] } }];
    expect(inspected[0].Config.Env).toEqual([expect.stringMatching(/^PATH=/)]);
  });

  test('sends of a local directory what the graph names', async () => {
    const dir = use.bench.write('tree', { 'a/x': 'x', 'a/y': 'y', 'b/z': 'z', link: { link: 'a/x' }, 'empty/': null });
    const from = (options: Parameters<typeof local>[1]): State =>
      scratch().file([
        {
          kind: 'copy', from: { output: local('src', options).output, dir: '/' }, src: '/', dest: '/',
          options: { copyDirContentsOnly: true },
        },
      ]); // oxfmt-ignore
    const filesOf = async (state: State): Promise<readonly string[]> => {
      const out = use.bench.path('out.tar');
      await use.bench.ok([
        'solve',
        definitionFile('local.bin', state),
        '--local',
        `src=${dir}`,
        '-o',
        `type=tar,dest=${out}`,
      ]);
      return (await readTar(readFileSync(out))).map(({ header }) => header.name).toSorted();
    };
    expect(await filesOf(from({ followPaths: ['link'] }))).toEqual(['a/', 'a/x', 'link']);
    expect(await filesOf(from({ includePatterns: ['**/z'] }))).toEqual(['b/', 'b/z']);
    expect(await filesOf(from({ excludePatterns: ['a'] }))).toEqual(['b/', 'b/z', 'empty/', 'link']);
  });

  test('refuses what was not granted before anything runs', async () => {
    const refused = async (state: State, args: readonly string[] = []): Promise<string> => {
      const { code, err } = await use.bench.tsbuild(['solve', definitionFile('refused.bin', state), ...args]);
      expect(code).not.toBe(0);
      expect(err).not.toMatch(/at \w+ \(|Error:/);
      return err;
    };
    const host = base().run({ args: ['/bin/true'], meta: { network: 'host' } });
    expect(await refused(host)).toMatch(/entitlement network.host is not allowed[\s\S]*--allow network.host/);
    const insecure = base().run({ args: ['/bin/true'], meta: { security: 'insecure' } });
    expect(await refused(insecure)).toContain('security.insecure is not allowed');
    const context = scratch().file([
      { kind: 'copy', from: { output: local('ctx').output, dir: '/' }, src: '/a', dest: '/', options: {} },
    ]);
    expect(await refused(context)).toContain('hint: solve with --local ctx=DIR');
    expect(await refused(context, ['--local', 'ctx=/etc/passwd'])).toContain('it is not a directory');
    expect(await refused(step('true'), ['--platform', 'linux/amd64,linux/arm64'])).toContain('platform');
  });

  test('says what is wrong with what it is given', async () => {
    const told = async (stdin: Uint8Array | string): Promise<string> => {
      const { code, err } = await use.bench.tsbuild(['solve'], { stdin });
      expect(code).toBeGreaterThan(0);
      expect(code).toBeLessThan(3);
      return err;
    };
    expect(await told('')).toContain('it is empty');
    expect(await told('FROM scratch\n')).toMatch(/^error: Cannot read LLB/);
    const bytes = encodeDefinition(marshal(step('true'), AMD64));
    expect(await told(bytes.subarray(0, -9))).toMatch(/^error: Cannot read LLB/);
    expect((await use.bench.tsbuild(['solve', use.bench.path('none')])).err).toContain('it does not exist');
  });

  test('takes secrets, and shows lines of the source that came with the graph', async () => {
    const context = use.bench.context(
      'FROM base:1\nRUN --mount=type=secret,id=s,required cat /run/secrets/s && false\n',
      {},
    );
    const { stdout } = await use.bench.ok(['llb', context]);
    const without = await use.bench.tsbuild(['solve'], { stdin: stdout });
    expect(without.err).toContain('secret s: not found');
    use.bench.write('secrets', { s: 'hidden-value' });
    const failed = await use.bench.tsbuild(['solve', '--secret', `id=s,src=${use.bench.path('secrets/s')}`], {
      stdin: stdout,
    });
    expect(failed.code).toBe(1);
    expect(failed.err).toContain('>>> RUN --mount=type=secret');
    expect(failed.err).not.toContain('hidden-value');
  });
});
