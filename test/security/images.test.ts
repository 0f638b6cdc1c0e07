import { beforeAll, expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { testedRung } from '../support/rung.ts';
import { expectFailure } from '../support/sound.ts';
import { readOciArchive } from '../support/tree.ts';
import { writeImages } from './layout.ts';
import { Victim } from './victim.ts';

const ARCHIVE = ['build', '--progress=plain', '-o', 'type=oci,compression=uncompressed,dest=-'];

describeAsEveryone('what a base image says of itself', (who) => {
  const use = useBench(who, { base: false });
  let victim: Victim;
  let names: Readonly<Record<string, string>>;
  beforeAll(() => {
    victim = new Victim(use.bench);
    names = writeImages(use.bench, {
      plain: {},
      variables: { Env: ['PATH=/bin', 'CANARY', '*', '=x', 'A=1', 'A=2', 'CANARY*'] },
      nul: { Env: ['PATH=/bin', 'A\0B=c'] },
      large: { User: '4294967296' },
      padded: { User: ' 0' },
      group: { User: 'root:4294967296' },
      descriptor: { WorkingDir: '/proc/self/fd/5' },
      upwards: { WorkingDir: victim.up },
      labels: {
        Labels: {
          'containerd.io/snapshot/overlay.uidmapping': '0:0:4294967295',
          'io.podman.annotations.privileged': 'TRUE',
          'run.oci.keep_original_groups': '1',
          'tsbuild.security': 'insecure',
          'devcontainer.metadata': `[{"initializeCommand":"touch ${victim.dir}/new","privileged":true,"mounts":["source=/,target=/host,type=bind"]}]`,
        },
      },
      volumes: { Volumes: { '/../../victim': {}, '': {}, '/proc': {}, [victim.dir]: {}, [victim.up]: {} } },
      words: { Entrypoint: ['/bin/echo', 'a\0b'], Cmd: ['c'] },
      trigger: { OnBuild: ['COPY . /app'] },
    });
  });
  const build = async (dockerfile: string, files: Record<string, string> = {}) => {
    const { bench } = use;
    const used = Object.entries(names).flatMap(([tag, flag]) => (dockerfile.includes(`FROM ${tag}`) ? [flag] : []));
    const outcome = await bench.tsbuild([...ARCHIVE, ...used, bench.context(dockerfile, files)], {
      env: { CANARY: victim.bytes },
    });
    victim.expectUntouched(outcome.stdout, outcome.err);
    return outcome;
  };
  const treeOf = async (dockerfile: string, files: Record<string, string> = {}) => {
    const outcome = await build(dockerfile, files);
    expect(outcome.code, outcome.err).toBe(0);
    return { ...outcome, ...(await readOciArchive(outcome.stdout)) };
  };

  test('variables: none is taken from the caller or from another step (PRC-16)', async () => {
    const { tree } = await treeOf(
      'FROM variables AS first\nENV ONLY=here\nRUN env > /first\nFROM variables\nRUN env > /second\nCOPY --from=first /first /first\n',
    );
    const variables = (path: string) =>
      tree[path]?.content.split('\n').filter((line) => /^(A|CANARY|ONLY|[^\w])/.test(line));
    expect(variables('/first')?.toSorted()).toEqual(['A=2', 'CANARY=', 'ONLY=here']);
    expect(variables('/second')?.toSorted()).toEqual(['A=2', 'CANARY=']);
    expectFailure(await build('FROM nul\nRUN env\n'), { says: ['config.Env[1]', 'NUL'] });
  });

  test('users that are no ids are refused and never become root (PRC-07)', async () => {
    const refused = async (dockerfile: string, says: string) =>
      expectFailure(await build(dockerfile), { says: [says] });
    await Promise.all([
      refused('FROM large\nRUN id -u\n', 'user "4294967296" is not an id from 0'),
      refused('FROM padded\nRUN id -u\n', 'user " 0" is not in the image'),
      refused('FROM group\nRUN id -u\n', 'group "4294967296" is not an id from 0'),
      refused('FROM plain\nCOPY --chown=4294967296 Dockerfile /\n', 'owner "4294967296": it is not an id'),
      refused('FROM plain\nCOPY --chown=-1 Dockerfile /\n', 'owner "4294967295": it is not an id'),
    ]);
  });

  test('working directories are looked up in its own root (PRC-01)', async () => {
    const { bench } = use;
    expectFailure(await build('FROM descriptor\nRUN cat ../../../../etc/hostname\n'), {
      // Without a /proc of processes it is a directory like others, in the step's own root.
      says: [testedRung === 'chroot' ? 'exit code: 1' : 'goes through a link of /proc'],
    });
    const { tree } = await treeOf(
      `FROM upwards
RUN pwd > /where; ls -A . ../victim > /seen; cat ../../../../../../etc/hostname || echo none > /name
WORKDIR new
FROM plain
RUN ln -s ${victim.up} /link
WORKDIR /link/new
RUN pwd > /where; touch here
COPY --from=0 /where /seen /name /first/
`,
    );
    expect(tree['/first/where']?.content).toBe(`${victim.dir}\n`);
    expect(tree['/first/seen']?.content).toBe('.:\n\n../victim:\n');
    expect(tree['/first/name']?.content).toBe('none\n');
    expect(tree['/where']?.content).toBe(`${victim.dir}/new\n`);
    // A file of the machine that no container has.
    bench.write('.', { outside: 'outside\n' });
    const file = `../../../../..${bench.path('outside')}`;
    const run = (dir: string) => bench.tsbuild(['run', '-w', dir, bench.path('images:plain'), 'cat', file]);
    expect((await run('/proc/self/fd/5')).code).toBe(testedRung === 'chroot' ? 1 : 125);
    expect((await run('/tmp')).code).toBe(1);
  });

  test('labels are text, whatever other tools make of them (PRC-17)', async () => {
    const look =
      'RUN (cat /proc/self/uid_map; grep -E "^(Uid|Groups|Cap|Seccomp|NoNew)" /proc/self/status; cut -d" " -f 2-4 /proc/mounts; ls /) > /seen\n';
    const { tree, config } = await treeOf(
      `FROM plain AS other\n${look}FROM labels\n${look}COPY --from=other /seen /other\n`,
    );
    if (testedRung !== 'chroot') expect(tree['/seen']?.content).toMatch(/^CapEff/m);
    expect(tree['/seen']?.content).toBe(tree['/other']?.content);
    expect(Object.keys(config.config?.['Labels'] ?? {})).toHaveLength(5);
  });

  test('volumes and commands are data until somebody runs them (PRC-23)', async () => {
    const { bench } = use;
    const { tree } = await treeOf('FROM volumes\nRUN ls -A / > /seen\n');
    const names = 'bin\ndev\netc\nhome\nproc\nroot\nsys\ntmp\nusr\nvar\n';
    expect(tree['/seen']?.content).toBe(names.replace('sys', 'seen\nsys'));
    // Each is a volume of the container's own; none stands for what the kernel has.
    const { out } = await bench.ok([
      'run',
      '--rm',
      bench.path('images:volumes'),
      'sh',
      '-c',
      'ls -A / /victim; cut -d" " -f2 /proc/mounts',
    ]);
    // By chroot nothing is mounted: volumes are directories of the container, where the image has them.
    if (testedRung === 'chroot') expect(out).toBe(`/:\n${names}/\n`);
    else {
      expect(out.startsWith(`/:\n${names}victim\n\n/victim:\n`)).toBe(true);
      expect(out.match(/^\/(proc|victim)$/gm)?.toSorted()).toEqual(['/proc', '/victim']);
    }
    victim.expectUntouched();
    expect(await bench.tsbuild(['run', bench.path('images:words')])).toMatchObject({
      code: 125,
      err: expect.stringContaining('contains a NUL byte') as string,
    });
    // They are no part of what a build does.
    await treeOf(
      'FROM words\nRUN true\nENTRYPOINT ["a\\u0000b"]\nHEALTHCHECK CMD ["a\\u0000b"]\nVOLUME /../../victim\n',
    );
  });

  test('triggers are shown as what they do (CTX-16)', async () => {
    const { tree, err, config } = await treeOf('FROM trigger\n', { '.env': 'x', '.git/config': 'y' });
    expect(tree['/app/.env']?.content).toBe('x');
    expect(err).toContain(' ONBUILD COPY . /app\n');
    expect(config.history?.at(-1)).toMatchObject({ created_by: 'COPY . /app # buildkit' });
    const without = await treeOf('FROM trigger\n', {
      '.env': 'x',
      '.git/config': 'y',
      '.dockerignore': '.env\n.git\n',
    });
    expect(Object.keys(without.tree).filter((path) => path.startsWith('/app/'))).toEqual([
      '/app/.dockerignore',
      '/app/Dockerfile',
    ]);
  });
});
