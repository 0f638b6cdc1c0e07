import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { commandIn } from '../fakes/command.ts';
import { programPath } from '../support/program.ts';

const tsbuild = (line: string): { code: number | null; out: string; err: string } => {
  const { status, stdout, stderr } = spawnSync(programPath(), line.split(' '), { encoding: 'utf8' });
  return { code: status, out: stdout, err: stderr };
};

describe('options that other programs have say what to do instead', () => {
  test.each([
    ['push --format v2s2 x', 'oci-mediatypes=false'],
    ['push --all x', '--platform'],
    ['push --sign-by me x', 'cosign'],
    ['run --pod=a x', 'pods'],
    ['run --link db:alias x', '--network-alias ALIAS'],
    ['run --link-local-ip 169.254.1.1 x', '-p [IP:]HOST:CONTAINER'],
    ['run --memory-reservation=1g x', '--memory'],
    ['run --cpu-rt-period=2 x', '--cpus'],
    ['run --blkio-weight 500 x', 'IOWeight'],
    ['run --volume-driver x y', '-v HOST:CONTAINER'],
    ['run --device-cgroup-rule x y', 'sandbox'],
    ['update --blkio-weight 500 x', 'IOWeight'],
    ['update --memory-reservation 1g x', '--memory'],
    ['build --dns 1.1.1.1 .', '--add-host'],
    ['build --policy x .', '--check'],
    ['build --cpu-quota=1 .', '--resource'],
    ['build --cpuset-cpus 0 .', 'cpuset-cpus=LIST'],
    ['-c 5 .', 'cpu-shares=NUMBER'],
    ['build --security-opt x .', '--allow'],
    ['build --layers .', 'store'],
    ['build --format docker .', '-o type=oci'],
    ['build --tls-verify=false .', 'registries.conf'],
    ['build --authfile x .', 'docker login'],
    ['build --userns=keep-id .', 'sandbox'],
    ['build --squash-all .', 'FROM scratch'],
    ['build --destination=x .', '--push'],
    ['build --context=dir://x', 'tsbuild build DIR'],
    ['build --no-push .', 'leave --push out'],
    ['build --omit-history .', '--source-date-epoch'],
    ['build --verbosity=info .', '--progress'],
    ['build --manifest x .', '--platform'],
    ['llb --memory-swappiness=1 .', '--memory-swap'],
  ])('%s', (line, hint) => {
    const { code, out, err } = tsbuild(line);
    expect({ code, out }).toEqual({ code: line.startsWith('run ') ? 125 : 2, out: '' });
    expect(err).toMatch(/^error: Cannot use --?[\w-]+: it is not supported\nhint: .*\n$/);
    expect(err).toContain(hint);
  });

  test('others are unknown, with what was meant', () => {
    const { code, err } = tsbuild('run --workdri /x y');
    expect(code).toBe(125);
    expect(err).toContain("unknown option '--workdri'");
    expect(err).toContain('--workdir');
  });
});

describe('options of the commands on volumes, networks, images and containers', () => {
  const { run } = commandIn(() => '/nonexistent');
  test.each([
    ['volume create -o type=none v', '-o', '-v /DIR:/PATH'],
    ['volume create --opt=o=bind v', '--opt', '--tmpfs /PATH'],
    ['volume create --name v', '--name', 'tsbuild volume create NAME'],
    ['network create --aux-address a=10.0.0.1 n', '--aux-address', 'run --ip'],
    ['network create --ipam-driver=x n', '--ipam-driver', 'a subnet, a gateway and a range'],
    ['images --tree', '--tree', 'tsbuild inspect --layers'],
    ['rmi --no-prune x', '--no-prune', 'tsbuild prune'],
    ['import -c CMD f', '-c', 'FROM NAME'],
    ['import --message=hello f', '--message', 'FROM NAME'],
    ['ps --sort created', '--sort', '--format json'],
    ['ps --pod', '--pod', 'there are no pods'],
    ['rm -l web', '-l', 'containers of one network'],
    ['pull --arch arm64 x', '--arch', '--platform OS/ARCH'],
    ['copy --override-arch=arm64 a b', '--override-arch', '--platform OS/ARCH'],
    ['copy --dest-compress a b', '--dest-compress', 'tsbuild push --compression'],
    ['push --retry-hook x y', '--retry-hook', 'registries.conf'],
  ])('%s', async (line, option, hint) => {
    const { code, out, err } = await run(...line.split(' '));
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/^error: [^\n]*\nhint: [^\n]*\n$/);
    expect(err).toContain(`error: Cannot use ${option}: it is not supported\n`);
    expect(err).toContain(hint);
  });

  test('what nobody has is unknown, and nothing that it looks like reaches the terminal as it is', async () => {
    const { code, err } = await run('images', '--\u001b[2Jtree');
    expect(code).toBe(2);
    expect(err).toContain('unknown option');
    expect(err).not.toContain('\u001b');
  });
});
