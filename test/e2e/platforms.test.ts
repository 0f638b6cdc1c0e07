import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { execProgram, machineProgram } from '../support/arm64-program.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { canEmulateArm64 } from '../support/emulation.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { stepsOf } from '../support/steps.ts';

const canEmulate = canEmulateArm64();

const BOTH = 'linux/amd64,linux/arm64';

interface Index {
  readonly mediaType: string;
  readonly manifests: readonly {
    readonly digest: string;
    readonly mediaType: string;
    readonly platform: { readonly os: string; readonly architecture: string; readonly variant?: string };
  }[];
}

describeAsUser('several platforms', (who) => {
  const use = useBench(who);
  let registry: TestRegistry;
  beforeAll(async () => {
    registry = await startRegistry();
  });
  afterAll(async () => registry[Symbol.asyncDispose]());
  const skopeo = (...args: string[]) => use.bench.tool(['skopeo', ...args]);
  const platformsOf = ({ manifests }: Index): string[] =>
    manifests.map(({ platform: { os, architecture, variant } }) =>
      [os, architecture, variant].filter(Boolean).join('/'),
    );

  // A native stage makes a file per target platform; nothing of the targets is executed.
  const CROSS = `FROM --platform=$BUILDPLATFORM base:1 AS shared
RUN echo shared
COPY one /one
FROM shared AS made
ARG TARGETARCH
RUN echo for $TARGETARCH > /made
FROM scratch
COPY --from=shared /one /one
COPY --from=made /made /made
`;

  test('native stages run once for all platforms, up to what depends on the target', async () => {
    const context = use.bench.context(CROSS, { one: '1' });
    const built = await use.bench.ok([
      'build', '--progress=plain', '--platform', `${BOTH},linux/riscv64`, '-o', 'type=cacheonly', context,
    ]); // oxfmt-ignore
    const { ran } = stepsOf(built);
    expect(ran.filter((name) => name === 'RUN echo shared')).toHaveLength(1);
    expect(ran.filter((name) => name === 'COPY one /one')).toHaveLength(1);
    expect(ran.filter((name) => name.startsWith('RUN echo for '))).toEqual(
      ['amd64', 'arm64', 'riscv64'].map((name) => `RUN echo for ${name} > /made`),
    );
    // By what was printed, too, and not only by what was said to run.
    expect(built.err.match(/^#\d+ [\d.]+ shared$/gm)).toHaveLength(1);
  });

  test('one index is pushed, and the tag is its name alone', async () => {
    const context = use.bench.context(CROSS, { one: '1' });
    const name = `${registry.host}/team/cross`;
    await use.bench.ok(['build', '--push', '--platform', BOTH, '-t', `${name}:1`, '--metadata-file', 'md', context]);
    const text = await skopeo('inspect', '--raw', '--tls-verify=false', `docker://${name}:1`);
    const index = JSON.parse(text) as Index;
    expect(index.mediaType).toBe('application/vnd.oci.image.index.v1+json');
    expect(platformsOf(index)).toEqual(['linux/amd64', 'linux/arm64']);
    const tags = JSON.parse(await skopeo('list-tags', '--tls-verify=false', `docker://${name}`)) as { Tags: string[] };
    expect(tags.Tags).toEqual(['1']);
    const metadata = JSON.parse(readFileSync(use.bench.path('md'), 'utf8')) as Record<string, string>;
    expect(metadata['containerimage.config.digest']).toBeUndefined();
    for (const { digest, platform } of index.manifests) {
      const config = JSON.parse(
        await skopeo('inspect', '--config', '--tls-verify=false', `docker://${name}@${digest}`),
      ) as Record<string, unknown>;
      expect(config).toMatchObject(platform);
    }
    // Another tool takes the one of a platform.
    const layout = use.bench.path('pulled');
    await skopeo(
      '--override-arch=arm64',
      'copy',
      '-q',
      '--src-tls-verify=false',
      `docker://${name}:1`,
      `oci:${layout}:1`,
    );
    expect(await skopeo('inspect', '--config', `oci:${layout}:1`)).toMatch(/"architecture": ?"arm64"/);
  });

  test('an archive and the store have the index, and `run` and `inspect` take a platform of it', async () => {
    const context = use.bench.context(`FROM base:1\nARG TARGETARCH\nENV ARCH=$TARGETARCH\n`);
    const file = use.bench.path('both.tar');
    const outputs = ['-o', `type=oci,dest=${file}`, '-o', 'type=image,name=two:1'];
    await use.bench.ok(['build', '--platform', 'linux/amd64,linux/386', ...outputs, context]);
    const index = JSON.parse(await skopeo('inspect', '--raw', `oci-archive:${file}`)) as Index;
    expect(platformsOf(index)).toEqual(['linux/amd64', 'linux/386']);
    for (const [platform, architecture] of [
      ['linux/amd64', 'amd64'],
      ['linux/386', '386'],
    ] as const) {
      const inspected = await use.bench.ok([
        'inspect',
        '--platform',
        platform,
        '--format',
        '{{.Architecture}}',
        'two:1',
      ]);
      expect(inspected.out.trim()).toBe(architecture);
      const run = await use.bench.ok([
        'run',
        '--network=none',
        '--platform',
        platform,
        'two:1',
        'sh',
        '-c',
        'echo $ARCH',
      ]);
      expect(run.out.trim()).toBe(architecture);
    }
    const images = await use.bench.ok(['images']);
    expect(images.out).toMatch(/two:1 .*linux\/amd64.*linux\/386/);
  });

  test('directories and archives of files have one directory per platform, unless the platforms are to meet', async () => {
    const context = use.bench.context(`FROM scratch
ARG TARGETARCH
COPY $TARGETARCH /
COPY same /same
`, {
      'amd64/file-amd64': 'x', 'arm64/file-arm64': 'y', 'arm/file-arm': 'z', same: 's',
    }); // oxfmt-ignore
    const build = (platform: string, output: string, ...more: string[]) =>
      use.bench.tsbuild(['build', '--platform', platform, '-o', output, ...more, context]);
    const out = use.bench.path('split');
    expect((await build(`${BOTH},linux/arm/v7`, `type=local,dest=${out}`)).code).toBe(0);
    expect(readdirSync(out).toSorted()).toEqual(['linux_amd64', 'linux_arm64', 'linux_arm_v7']);
    expect(readdirSync(`${out}/linux_arm_v7`).toSorted()).toEqual(['file-arm', 'same']);
    // One platform has no directory of its own, unless that is asked for.
    expect((await build('linux/arm64', `type=local,dest=${out}1`)).code).toBe(0);
    expect(readdirSync(`${out}1`).toSorted()).toEqual(['file-arm64', 'same']);
    expect((await build('linux/arm64', `type=local,dest=${out}2,platform-split=true`)).code).toBe(0);
    expect(readdirSync(`${out}2`)).toEqual(['linux_arm64']);
    const multi = await build('linux/arm64', `type=local,dest=${out}3`, '--build-arg', 'BUILDKIT_MULTI_PLATFORM=1');
    expect([multi.code, readdirSync(`${out}3`)]).toEqual([0, ['linux_arm64']]);
    for (const [type, dest] of [
      ['local', `${out}4`],
      ['tar', `${out}4.tar`],
    ]) {
      const met = await build(BOTH, `type=${type},dest=${dest},platform-split=false`);
      expect([met.code, met.err]).toEqual([
        1,
        expect.stringContaining(
          'cannot overwrite same from linux/amd64 with linux/arm64 when split option is disabled',
        ),
      ]);
    }
    const tar = use.bench.path('split.tar');
    expect((await build(BOTH, `type=tar,dest=${tar}`)).code).toBe(0);
    const names = (await use.bench.tool(['tar', '-tf', tar])).trim().split('\n').toSorted();
    expect(names).toEqual([
      'linux_amd64/', 'linux_amd64/file-amd64', 'linux_amd64/same', 'linux_arm64/', 'linux_arm64/file-arm64', 'linux_arm64/same',
    ]); // oxfmt-ignore
  });

  test('what docker cannot load is refused before the build, and what it may load is named', async () => {
    const context = use.bench.context('FROM base:1\nRUN exit 1\n');
    const output = `type=docker,dest=${use.bench.path('docker.tar')}`;
    const refused = await use.bench.tsbuild(['build', '--platform', BOTH, '-o', output, context]);
    expect(refused.code).toBe(1);
    expect(refused.err).toMatch(/docker exporter does not currently support exporting manifest lists/);
    expect(refused.err).toMatch(/hint: use type=oci, which .*docker load/);
    expect(refused.err).not.toMatch(/exit code/);
  });

  test('a base image without the platform is named with what it has, for each', async () => {
    const made = use.bench.context('FROM scratch\nCOPY f /\n', { f: '' });
    const base = `${registry.host}/team/base:1`;
    await use.bench.ok(['build', '--push', '--platform', 'linux/amd64,linux/arm/v7', '-t', base, made]);
    const context = use.bench.context(`FROM ${base}\nCOPY f /g\n`, { f: '' });
    const build = (platform: string) =>
      use.bench.tsbuild(['build', '--platform', platform, '-o', 'type=cacheonly', context]);
    for (const platform of ['linux/riscv64', 'linux/arm/v6', 'linux/s390x']) {
      const { code, err } = await build(`linux/amd64,${platform}`);
      expect(code).toBe(1);
      expect(err).toContain(platform);
      expect(err).toMatch(/linux\/amd64, linux\/arm\/v7/);
    }
    // A later processor takes the image of an earlier one.
    for (const platform of ['linux/arm64', 'linux/arm/v8', 'linux/amd64/v3'])
      expect([platform, (await build(platform)).code]).toEqual([platform, 0]);
  });

  test('a step that cannot be executed here says what to install', async () => {
    // For an architecture that no emulator is known for, on whatever machine the tests run.
    const context = use.bench.context('FROM scratch\nCOPY --chmod=0755 p /p\nRUN ["/p"]\n', { p: '\x7fELF' });
    const failed = await use.bench.tsbuild(['build', '--platform', 'linux/mips', '-o', 'type=cacheonly', context]);
    expect(failed.code).toBe(1);
    expect(failed.err).toMatch(/\[2\/2\] RUN \["\/p"\]/);
    expect(failed.err).toMatch(/Cannot execute "\/p" for linux\/mips: this machine is linux\/amd64/);
    expect(failed.err).toMatch(/hint: .*COPY --from/);
  });

  test.skipIf(!canEmulate)('steps and containers for arm64 run in the emulator of the machine', async () => {
    const before = readdirSync('/proc/sys/fs/binfmt_misc');
    const context = use.bench.context(
      `FROM --platform=$BUILDPLATFORM base:1 AS native
COPY . /in
RUN chmod 0755 /in/*.bin
FROM scratch
COPY --from=native /in /
RUN ["/exec.bin"]
RUN ["/machine.bin"]
CMD ["/exec.bin"]
`,
      { 'machine.bin': machineProgram('/made'), 'exec.bin': execProgram('/machine.bin') },
    );
    const built = await use.bench.ok([
      'build',
      '--progress=plain',
      '--platform',
      'linux/arm64',
      '-t',
      'arm:1',
      context,
    ]);
    expect(built.err.match(/aarch64/g)).toHaveLength(2);
    const again = await use.bench.ok([
      'build',
      '--progress=plain',
      '--platform',
      'linux/arm64',
      '-t',
      'arm:1',
      context,
    ]);
    expect(stepsOf(again).ran).toEqual([]);
    const out = use.bench.path('arm-files');
    await use.bench.ok(['build', '--platform', 'linux/arm64', '-o', out, context]);
    expect(readFileSync(`${out}/made`, 'utf8')).toBe('aarch64');
    const run = await use.bench.ok(['run', '--network=none', '--platform', 'linux/arm64', 'arm:1']);
    expect(run.out).toBe('aarch64');
    // The machine knows nothing of it.
    expect(readdirSync('/proc/sys/fs/binfmt_misc')).toEqual(before);
    expect((await use.bench.ok(['doctor'])).out).toMatch(/other platforms: steps also run for .*linux\/arm64/);
    expect(await use.bench.damage()).toEqual([]);
  });
});
