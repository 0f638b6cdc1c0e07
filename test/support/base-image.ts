import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tar, type TarMember } from './image.ts';
import { run } from './tools.ts';

let base: Buffer | undefined;

/** The root file system of a small base image as a tar: busybox under all its names, users, groups. */
export function baseImageTar(): Buffer {
  return (base ??= tar(baseMembers()));
}

/** The members of the base image, for images that differ a little. */
export function baseMembers(): TarMember[] {
  const applets = execFileSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n');
  return [
    ...['bin', 'dev', 'etc', 'home', 'proc', 'root', 'sys', 'usr', 'var'].map((name): TarMember => ({
      name: `${name}/`,
      type: '5',
    })),
    { name: 'tmp/', type: '5', mode: 0o1777 },
    { name: 'bin/busybox', content: readFileSync('/bin/busybox'), mode: 0o755 },
    ...applets
      .filter((name) => name !== 'busybox')
      .map((name): TarMember => ({ name: `bin/${name}`, type: '2', link: 'busybox' })),
    {
      name: 'etc/passwd',
      content: 'root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nbob:x:1001:50::/:/bin/sh\n',
    },
    { name: 'etc/group', content: 'root:x:0:\nstaff:x:50:alice,bob\nalice:x:1000:\nwheel:x:10:root,alice\n' },
  ];
}

/** The base image with a program of this machine and the libraries that it wants. */
export function baseWith(program: string): Buffer {
  const libraries = run('ldd', program).match(/\/\S+/g) ?? [];
  const files = [program, ...libraries].map((path): TarMember => ({
    name: path.slice(1),
    content: readFileSync(path),
    mode: 0o755,
  }));
  return tar([...baseMembers(), ...files]);
}
