import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** What one of the scripts came to. */
export interface Inside {
  readonly code: number;
  readonly out: string;
}

/**
 * Runs shell scripts in a Linux of its own, which is a process here (Debian's user-mode-linux, 6.1): with groups of version 2 alone at
 * `/sys/fs/cgroup`, whatever this machine has. It sees the files of this machine and cannot write to them; `/mnt` is an empty file system that
 * takes overlays, with the files that are given. Boots in about a second.
 * @param dir an empty directory for what it takes, which whoever runs the tests can write to
 * @param files to be found in `/mnt`, by name
 * @param scripts by name, run one after the other as root
 * @throws what it said, when it does not come to its end
 */
export async function inOwnLinux(
  dir: string,
  files: Readonly<Record<string, Uint8Array | string>>,
  scripts: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, Inside>>> {
  const content = join(dir, 'content');
  mkdirSync(content);
  for (const [name, data] of Object.entries(files)) writeFileSync(join(content, name), data);
  const disk = join(dir, 'disk');
  execFileSync('/sbin/mke2fs', ['-q', '-t', 'ext4', '-d', content, disk, '400M'], { stdio: 'pipe' });
  const names = Object.keys(scripts);
  for (const name of names) writeFileSync(join(dir, `${name}.sh`), scripts[name] ?? '');
  const [overlay = ''] = globSync('/usr/lib/uml/modules/*/kernel/fs/overlayfs/overlay.ko');
  writeFileSync(
    join(dir, 'init'),
    `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/mnt
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t ext4 /dev/ubda /mnt; mount -t tmpfs tmpfs /run; mount -t tmpfs -o mode=1777 tmpfs /var/tmp
mkdir /mnt/out
busybox insmod ${overlay}
${names.map((name) => `sh ${join(dir, `${name}.sh`)} > /mnt/out/${name} 2>&1; echo $? > /mnt/out/${name}.code`).join('\n')}
sync; mount -o remount,ro /mnt; busybox poweroff -f
`,
  );
  chmodSync(join(dir, 'init'), 0o755);
  const said = await boot(dir, disk);
  // Files of the file system, without mounting it.
  execFileSync('/sbin/debugfs', ['-R', `rdump /out ${dir}`, disk], { stdio: 'pipe' });
  return Object.fromEntries(
    names.map((name) => {
      const path = join(dir, 'out', name);
      try {
        return [name, { code: Number(readFileSync(`${path}.code`, 'utf8')), out: readFileSync(path, 'utf8') }];
      } catch (cause) {
        throw new Error(`${basename(path)} did not run to its end; the kernel said:\n${said}`, { cause });
      }
    }),
  );
}

function boot(dir: string, disk: string): Promise<string> {
  const root = ['rootfstype=hostfs', 'rootflags=/', 'ro', `init=${join(dir, 'init')}`];
  const args = ['mem=1200M', ...root, `ubda=${disk}`, 'con=null', 'con0=null,fd:1', 'quiet'];
  const child = spawn('linux.uml', args, {
    // Its memory is a file there.
    env: { PATH: '/usr/bin:/bin', HOME: dir, TMPDIR: dir },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Its processes are processes here, and end with it.
    detached: true,
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (said += text.toString()));
  return new Promise((resolve, reject) => {
    const clock = setTimeout(() => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    }, 150_000);
    child.once('error', reject);
    child.once('close', () => {
      clearTimeout(clock);
      resolve(said);
    });
  });
}
