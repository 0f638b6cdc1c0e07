import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  appArmorProfile,
  containerFix,
  explainTrial,
  idLine,
  kernelLine,
  problemLine,
  scopeLine,
  userNamespaceLines,
} from '../../src/sandbox/doctor-lines.ts';
import type { NamespacePlan } from '../../src/sandbox/index.ts';
import { TsbuildError } from '../../src/util/index.ts';
import { TempDir } from '../tree/support.ts';

vi.mock('node:os', async (original) => ({ ...(await original<typeof import('node:os')>()), release: vi.fn() }));

let dir: TempDir;
beforeEach(() => void (dir = new TempDir()));
afterEach(() => dir[Symbol.dispose]());

/** A program in the helper's place that answers like this. */
function answering(script: string): string {
  const path = join(dir.path, 'helper');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return path;
}

describe('the kernel', () => {
  // Overlay mounts in user namespaces came with 5.11, mount_setattr(2) with 5.12; version numbers go on at 6.0 after 5.19.
  test.each(['5.12.0', '5.15.0-91-generic', '6.1.0-13-amd64', '6.0.0', '7.0', '10.2.1', '5.12'])('%s is new enough', (version) => {
    vi.mocked(release).mockReturnValue(version);
    expect(kernelLine()).toEqual({ name: 'kernel', state: 'ok', text: version });
  }); // oxfmt-ignore
  test.each(['5.11.22', '5.4.0-150-generic', '4.19.0', '3.10.0-1160.el7.x86_64', '2.6.32', '4.99'])('%s is too old', (version) => {
    vi.mocked(release).mockReturnValue(version);
    expect(kernelLine()).toMatchObject({ state: 'problem', fix: 'run a newer kernel' });
    expect(kernelLine().text).toContain(`${version} is too old`);
  }); // oxfmt-ignore
});

describe('abstract sockets', () => {
  // LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET came with ABI 6 (Linux 6.12).
  test.each([6, 7, 12])('are out of reach with Landlock %i', (version) => {
    expect(scopeLine(answering(`echo ${version}`))).toEqual({
      name: 'abstract sockets',
      state: 'ok',
      text: `out of reach of steps (Landlock ${version})`,
    });
  });
  test.each([
    ['echo 5', 'Landlock 5, which has no scopes'],
    ['echo 1', 'Landlock 1, which has no scopes'],
    ['echo 0', 'no Landlock'],
    ['echo 6; exit 1', 'no Landlock'],
    ['echo tsbuild-helper: unknown command', 'no Landlock'],
    ['', 'no Landlock'],
  ])('are a warning where the helper says %j', (script, what) => {
    const line = scopeLine(answering(script));
    expect(line.state).toBe('warning');
    expect(line.text).toBe(`the kernel has ${what}: steps can connect to abstract unix sockets of this machine`);
    expect(line.fix).toMatch(/Linux 6\.12/);
  });
  test('are a warning where there is no helper', () => {
    expect(scopeLine(join(dir.path, 'none'))).toMatchObject({ state: 'warning' });
  });
});

describe('switches of distributions', () => {
  const all = {
    '/proc/sys/user/max_user_namespaces': '0\n',
    '/proc/sys/kernel/unprivileged_userns_clone': '0\n',
    '/proc/sys/kernel/apparmor_restrict_unprivileged_userns': '1\n',
  };
  const lines = (files: Readonly<Record<string, string>>) => userNamespaceLines('/opt/helper', (path) => files[path]);

  test.each(Object.entries(all))('%s is named where it is %j, with what to type', (path, value) => {
    const [line, ...more] = lines({ [path]: value });
    expect(more).toEqual([]);
    expect(line).toMatchObject({ name: 'user namespaces', state: 'warning' });
    expect(line?.text).toContain(`${path} is ${value.trim()}`);
  });

  test('are told each', () => {
    expect(lines(all).map(({ fix }) => fix)).toEqual([
      // For now, and for the next start of the machine: sysctl(8), sysctl.d(5).
      'sudo sysctl -w user.max_user_namespaces=15000 && echo user.max_user_namespaces=15000 | sudo tee -a /etc/sysctl.d/99-tsbuild.conf',
      'sudo sysctl -w kernel.unprivileged_userns_clone=1 && echo kernel.unprivileged_userns_clone=1 | sudo tee -a /etc/sysctl.d/99-tsbuild.conf',
      appArmorProfile('/opt/helper'),
    ]);
  });

  test('say nothing where they let user namespaces be, or are not there', () => {
    expect(lines({})).toEqual([]);
    expect(
      lines({
        '/proc/sys/user/max_user_namespaces': '127234\n',
        '/proc/sys/kernel/unprivileged_userns_clone': '1\n',
        '/proc/sys/kernel/apparmor_restrict_unprivileged_userns': '0\n',
      }),
    ).toEqual([]);
  });
});

describe('fixes of several switches', () => {
  test('typed one after the other leave all of their settings for the next start', () => {
    const bin = join(dir.path, 'bin');
    const etc = join(dir.path, 'etc');
    mkdirSync(bin);
    mkdirSync(etc);
    writeFileSync(join(bin, 'sudo'), '#!/bin/sh\n[ "$1" = sysctl ] || exec "$@"\n', { mode: 0o755 });
    const switches = ['/proc/sys/user/max_user_namespaces', '/proc/sys/kernel/unprivileged_userns_clone'];
    for (const { fix = '' } of userNamespaceLines('/opt/helper', (path) => (switches.includes(path) ? '0' : undefined)))
      spawnSync('sh', ['-c', fix.replaceAll('/etc/sysctl.d', etc)], { env: { PATH: `${bin}:/usr/bin:/bin` } });
    const { stdout } = spawnSync('sh', ['-c', `cat ${etc}/*`], { encoding: 'utf8' });
    expect(stdout.trimEnd().split('\n').toSorted()).toEqual([
      'kernel.unprivileged_userns_clone=1',
      'user.max_user_namespaces=15000',
    ]);
  });
});

test('the profile for AppArmor is written as it stands, whatever the path has in it', () => {
  const path = '/home/u/$HOME/`id`/@tsbuild+linux-x64/$(id)/helper';
  const command = appArmorProfile(path);
  const target = join(dir.path, 'profile');
  // What the shell makes of the file, without its being installed.
  const here = command
    .replace('sudo tee /etc/apparmor.d/tsbuild-helper', `cat >${target}`)
    .replace(/ && sudo [^\n]*/, '');
  expect(spawnSync('sh', ['-c', `${here}\ncat ${target}`], { encoding: 'utf8' }).stdout).toBe(
    `abi <abi/4.0>,\ninclude <tunables/global>\nprofile tsbuild-helper "${path}" flags=(unconfined) {\n  userns,\n}\n`,
  );
  expect(command).toMatch(/&& sudo apparmor_parser -r \/etc\/apparmor\.d\/tsbuild-helper$/m);
});

describe('ids', () => {
  const plan = (more: object): NamespacePlan => ({ how: 'direct', uids: [], gids: [], idShift: 0, idCount: 65_536, ...more });

  test.each([
    [plan({ how: 'newidmap' }), '65536 ids for images'],
    [plan({ idShift: 100_000 }), '65536 ids for images, shifted by 100000'],
  ])('of a plan', (one, text) => expect(idLine(one)).toEqual({ name: 'ids', state: 'ok', text }));

  test('of a root who is root in steps, too, are a warning with how to have more', () => {
    expect(idLine(plan({ idCount: 1000 }))).toMatchObject({
      state: 'warning',
      text: expect.stringContaining('steps run as root of this container: only 1000 ids are mapped') as string,
      fix: expect.stringContaining('--uidmap 0:100000:131072') as string,
    });
  });

  test('that there are none is told with what to type', () => {
    const problem = { problem: 'no-subids', message: 'there are none', fix: 'sudo usermod …' } as const;
    expect(idLine(problem)).toEqual({ name: 'ids', state: 'warning', text: 'there are none', fix: 'sudo usermod …' });
  });
}); // oxfmt-ignore

describe('what a trial failed with', () => {
  test.each([
    'cannot make a user namespace (EPERM)',
    'Cannot make a user namespace: EACCES',
    'unshare of a user namespace: Operation not permitted',
    'user namespace: permission denied',
  ])('%s: something refuses', (text) => {
    const [line] = explainTrial(new Error(text));
    expect(line).toMatchObject({ state: 'problem', text: 'the kernel or a security module refuses to make one' });
    expect(line?.fix).toBe(containerFix());
  });

  // unshare(2): ENOSPC where max_user_namespaces is reached.
  test('there may be no more of them', () => {
    expect(explainTrial(new Error('cannot make a user namespace (ENOSPC)'))).toMatchObject([
      { text: 'their number is limited to none', fix: expect.stringContaining('user.max_user_namespaces=15000') as string },
    ]);
  }); // oxfmt-ignore

  test.each([new Error('cannot mount an overlay (EPERM)'), new Error('user namespace (EINVAL)'), 'text', undefined])(
    'nothing is said of %s',
    (error) => expect(explainTrial(error)).toEqual([]),
  );
});

describe('the container around tsbuild', () => {
  test('is started with options of docker and podman', () => {
    for (const word of ['seccomp=unconfined', 'apparmor=unconfined', 'systempaths=unconfined'])
      expect(containerFix(false)).toContain(`--security-opt ${word}`);
  });

  // An unmasked /proc is only for pods with user namespaces (KEP-4265).
  test('in Kubernetes has a user namespace of its pod, and a /proc without masks', () => {
    const text = containerFix(true);
    expect(text).toMatch(/^ {2}hostUsers: false$/m);
    expect(text).toMatch(/^ {4}- securityContext:\n {8}procMount: Unmasked\n {8}capabilities: \{ add: \[SYS_ADMIN\] \}$/m);
  }); // oxfmt-ignore
});

test('a problem is told with its hint', () => {
  expect(problemLine('store', new TsbuildError('TSB_STORE', 'Cannot open it', { hint: 'mount it' }))).toEqual({
    name: 'store',
    state: 'problem',
    text: 'Cannot open it',
    fix: 'mount it',
  });
  expect(problemLine('store', new Error('odd'))).toEqual({ name: 'store', state: 'problem', text: 'odd' });
});
