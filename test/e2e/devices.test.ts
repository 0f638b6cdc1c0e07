import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Bench, Outcome } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { readOciArchive } from '../support/tree.ts';

/** The specifications of a machine with a device that zeros come from, and others. */
function install(bench: Bench): NodeJS.ProcessEnv {
  const driver = join(bench.write('driver', { 'lib.so': 'library', 'dir/file': 'in a directory' }), 'lib.so');
  const device = (name: string, containerEdits: object, annotations: object = {}): object => ({
    name,
    annotations,
    containerEdits,
  });
  const zeros = {
    cdiVersion: '0.6.0',
    kind: 'example.com/zeros',
    containerEdits: { env: ['ZEROS=many', 'COMMON=1'] },
    devices: [
      device(
        'z0',
        {
          env: ['Z0=1', 'COMMON=device', 'REPLACED=device'],
          deviceNodes: [
            { path: '/dev/zeros/z0', hostPath: '/dev/zero', type: 'c', major: 1, minor: 5, permissions: 'rw' },
            { path: '/opt/dev/hole', hostPath: '/dev/null' },
          ],
          mounts: [
            { hostPath: driver, containerPath: '/usr/lib/driver/lib.so', options: ['ro', 'nosuid', 'nodev', 'bind'] },
            { hostPath: join(driver, '../dir'), containerPath: '/opt/dir', options: ['rbind', 'rw'] },
          ],
          additionalGids: [44, 0],
        },
        { 'org.mobyproject.buildkit.device.class': 'quick' },
      ),
      device('z1', { env: ['Z1=1'] }),
      device('free', { env: ['FREE=1'] }, { 'org.mobyproject.buildkit.device.autoallow': 'true' }),
    ],
  };
  const broken = {
    cdiVersion: '0.6.0',
    kind: 'example.com/broken',
    devices: [
      device('hooks', { hooks: [{ hookName: 'createContainer', path: '/usr/bin/ctk', args: ['ctk'] }] }),
      device('gone', { deviceNodes: [{ path: '/dev/not-on-this-machine' }] }),
      device('other', { deviceNodes: [{ path: '/dev/null', major: 195, minor: 1 }] }),
      device('block', { deviceNodes: [{ path: '/dev/null', type: 'b' }] }),
      device('file', { deviceNodes: [{ path: '/dev/x', hostPath: driver }] }),
      device('group', { additionalGids: [4_000_000_000] }),
      device('root', { mounts: [{ hostPath: '/etc', containerPath: '/..' }] }),
    ],
  };
  const dir = bench.write('cdi', {
    'zeros.yaml': JSON.stringify(zeros, undefined, 1),
    'broken.json': JSON.stringify(broken),
  });
  return { TSBUILD_CDI_SPEC_DIRS: `${bench.path('none')}:${dir}` };
}

describeAsEveryone('devices of the machine', (who) => {
  const use = useBench(who);
  const build = (dockerfile: string, args: readonly string[] = []): Promise<Outcome> =>
    use.bench.tsbuild(['build', '--progress=plain', ...args, use.bench.context(dockerfile)], {
      env: install(use.bench),
    });
  const fails = async (dockerfile: string, args: readonly string[], says: readonly string[]): Promise<void> => {
    const outcome = await build(dockerfile, args);
    expect(outcome.code).toBe(1);
    for (const text of says) expect(outcome.err).toContain(text);
  };

  test('a step gets nodes, variables, files and groups, and leaves nothing of them', async () => {
    const { bench } = use;
    const context = bench.context(`FROM base:1
ENV REPLACED=image KEPT=image
USER alice
RUN --device=example.com/zeros=z0,required --mount=type=tmpfs,target=/opt/dir \\
  { echo $ZEROS $Z0 $COMMON $REPLACED $KEPT; head -c 3 /dev/zeros/z0 | wc -c; stat -c %t:%T /dev/zeros/z0 /opt/dev/hole; echo x > /opt/dev/hole; \\
    cat /usr/lib/driver/lib.so; echo; cat /opt/dir/file; echo; id -G; { echo x > /usr/lib/driver/lib.so; } 2>&1 | grep -o 'Read-only'; } > /tmp/seen
RUN ls -d /dev/zeros /opt /usr/lib > /tmp/after 2>&1 || echo $ZEROS >> /tmp/after
`);
    const { stdout } = await bench.ok(
      ['build', '-o', 'type=oci,dest=-', '--allow', 'device=example.com/zeros=z0', context],
      { env: install(bench) },
    );
    const { tree, layers } = await readOciArchive(stdout);
    expect(tree['/tmp/seen']?.content).toBe(
      'many 1 device device image\n3\n1:5\n1:3\nlibrary\nin a directory\n1000 10 44 50\nRead-only\n',
    );
    expect(tree['/tmp/after']?.content).not.toMatch(/^\/|many/m);
    expect(layers.at(-2)).toEqual(['tmp/', 'tmp/seen']);
    expect(Object.keys(tree).filter((path) => /zeros|driver|^\/opt|^\/usr\/lib/.test(path))).toEqual([]);
  });

  test('without --allow nothing runs, also where the step is in the cache', async () => {
    const dockerfile = 'FROM base:1\nRUN echo ran-before\nRUN --device=example.com/zeros=z1 test $Z1 = 1\n';
    const refused = ['device example.com/zeros=z1 is requested by the build but not allowed', 'Dockerfile:3'];
    const outcome = await build(dockerfile);
    expect(outcome).toMatchObject({ code: 1 });
    for (const text of [...refused, '>>> RUN --device', '--allow device=example.com/zeros=z1'])
      expect(outcome.err).toContain(text);
    // Not even looked for in the cache.
    expect(outcome.err).not.toMatch(/^#\d+ .*(?:\/3\]|ran-before)/m);
    expect((await build(dockerfile, ['--allow', 'device'])).code).toBe(0);
    await fails(dockerfile, [], refused);
    await fails(dockerfile, ['--allow', 'device=example.com/zeros=z0'], refused);
    await fails(dockerfile, ['--allow', 'network.host,security.insecure'], refused);
    // The first device of a kind is what its name alone stands for.
    await fails(dockerfile, ['--allow', 'device=example.com/zeros'], refused);
    await fails(
      'FROM base:1\nRUN --device=example.com/zeros=* true\n',
      ['--allow', 'device=example.com/zeros=none'],
      ['devices example.com/zeros=z0, example.com/zeros=z1 are requested by the build but not allowed'],
    );
  });

  test.each([
    ['all of a kind', '--device=example.com/zeros=*', 'device=example.com/zeros=*', ['Z0', 'Z1', 'FREE']],
    ['the first of a kind', '--device=example.com/zeros', 'device=example.com/zeros', ['FREE']],
    ['those of a class', '--device=example.com/zeros=quick', 'device=example.com/zeros=quick', ['Z0']],
    ['an alias', '--device=fast', 'device=example.com/zeros=z1,alias=fast', ['Z1']],
    ['one that allows itself', '--device=example.com/zeros=free', undefined, ['FREE']],
    ['an optional one that is there', '--device=name=example.com/zeros=z1,required=false', 'device', ['Z1']],
    ['several', '--device=example.com/zeros=z1 --device=example.com/zeros=free', 'network.host,device', ['Z1', 'FREE']],
  ])('%s', async (name, flags, allow, variables) => {
    const all = ['Z0', 'Z1', 'FREE'];
    const want = all.map((variable) => `${variable}=${variables.includes(variable) ? '1' : ''}.`).join(' ');
    const { code, err } = await build(
      `FROM base:1\nRUN ${flags} echo "${name}: ${all.map((variable) => `${variable}=$${variable}.`).join(' ')}"\n`,
      allow === undefined ? [] : ['--allow', allow],
    );
    expect(err).toContain(`${name}: ${want}`);
    expect(code).toBe(0);
  });

  test('one that is missing is an error before anything runs, unless it is optional', async () => {
    await fails(
      'FROM base:1\nRUN true\nRUN --device=vendor.com/none=x,required true\n',
      ['--allow', 'device'],
      ['required device "vendor.com/none=x" is not registered', 'Dockerfile:3', 'specifications (CDI) in '],
    );
    await fails('FROM base:1\nRUN --device=gpu,required true\n', [], ['invalid device "gpu"', 'VENDOR/CLASS=NAME']);
    const { code, err } = await build('FROM base:1\nRUN --device=vendor.com/none=x echo went on\n');
    expect([code, err]).toEqual([0, expect.stringContaining('went on')]);
  });

  test('a device that a sandbox cannot be given is an error that says why, and left out when optional', async () => {
    const cases: readonly (readonly [string, readonly string[]])[] = [
      ['hooks', ['hook createContainer ("/usr/bin/ctk")', 'programs of the machine are not run']],
      ['gone', ['"/dev/not-on-this-machine"']],
      ['other', ['is 1:3, and its specification expects 195:1']],
      ['block', ['is a character device']],
      ['file', ['lib.so" is not a device']],
    ];
    for (const [name, says] of cases) {
      const dockerfile = (required: boolean): string =>
        `FROM base:1\nRUN --device=example.com/broken=${name},required=${required} echo went on without ${name}\n`;
      await fails(dockerfile(true), ['--allow', 'device'], [`"example.com/broken=${name}"`, ...says, 'Dockerfile:2']);
      const optional = await build(dockerfile(false), ['--allow', 'device']);
      expect(optional.code).toBe(0);
      expect(optional.err).toContain(`went on without ${name}`);
      expect(optional.err).toContain('it is optional and left out');
    }
    for (const [name, says] of [
      ['group', 'additional group 4000000000 is not an id from 0 to'],
      ['root', 'the root directory cannot be a mount target'],
    ] as const)
      await fails(
        `FROM base:1\nRUN --device=example.com/broken=${name},required true\n`,
        ['--allow', 'device'],
        [says],
      );
    expect(await use.bench.damage()).toEqual([]);
  });

  test('a malformed specification is a warning, and named when a device is missing', async () => {
    const { bench } = use;
    const env = install(bench);
    writeFileSync(bench.path('cdi/bad.json'), '{');
    const run = (device: string): Promise<Outcome> =>
      bench.tsbuild(
        [
          'build',
          '--progress=plain',
          '--allow=device',
          bench.context(`FROM base:1\nRUN --device=${device},required true\n`),
        ],
        { env },
      );
    const found = await run('example.com/zeros=z1');
    expect([found.code, found.err]).toEqual([
      0,
      expect.stringMatching(/warnings? found[^]*bad\.json": it is not valid JSON/),
    ]);
    const missing = await run('example.com/zeros=z9');
    expect([missing.code, missing.err]).toEqual([1, expect.stringMatching(/hint: .*bad\.json/)]);
    const without = await bench.ok(['build', bench.context('FROM base:1\nRUN true\n')], { env });
    expect(without.err).not.toContain('bad.json');
  });

  test('a step that did without an optional device runs again when it is there', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN --device=example.com/zeros=z1 echo "Z1=$Z1." > /tmp/z1\n');
    const seen = async (env: NodeJS.ProcessEnv): Promise<string | undefined> => {
      const { stdout } = await bench.ok(['build', '-o', 'type=oci,dest=-', '--allow=device', context], { env });
      return (await readOciArchive(stdout)).tree['/tmp/z1']?.content;
    };
    const without = { TSBUILD_CDI_SPEC_DIRS: bench.path('none') };
    expect([await seen(without), await seen(install(bench)), await seen(without)]).toEqual([
      'Z1=.\n',
      'Z1=1.\n',
      'Z1=.\n',
    ]);
  });

  test('a build that was done before is refused when its device has gone', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN --device=example.com/zeros=free,required true\n');
    for (let again = 0; again < 3; again++) await bench.ok(['build', '-t', 'done:1', context], { env: install(bench) });
    const gone = await bench.tsbuild(['build', '-t', 'done:1', context], {
      env: { TSBUILD_CDI_SPEC_DIRS: bench.path('none') },
    });
    expect([gone.code, gone.err]).toEqual([1, expect.stringContaining('is not registered')]);
  });
});
