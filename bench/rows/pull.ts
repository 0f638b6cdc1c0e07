import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { has } from '../measure.ts';
import type { Program } from '../program.ts';
import type { BenchRegistry } from '../registry.ts';
import { context, type Row } from '../row.ts';

/** Of installed files, in kB. */
const SIZE = 170_000;
const PRIORITIES = ['required', 'important', 'standard', 'optional'];

/** A tar of what Debian's own packages installed here, those that every Debian has first, until it is so large. */
function debianRoot(work: string): string {
  const packages = execFileSync('dpkg-query', ['-W', '-f', '${Priority} ${Installed-Size} ${Package}\\n'], {
    encoding: 'utf8',
  })
    .trim()
    .split('\n')
    .map((line) => line.split(' '))
    .toSorted(([a = ''], [b = '']) => PRIORITIES.indexOf(a) - PRIORITIES.indexOf(b));
  const chosen: string[] = [];
  let left = SIZE;
  for (const [priority = '', size = '', name = ''] of packages) {
    // One that is too large leaves room for the next; some of the optional ones are huge.
    if (!PRIORITIES.includes(priority) || Number(size) > Math.min(left, SIZE / 4)) continue;
    chosen.push(name);
    left -= Number(size);
  }
  const files = execFileSync('dpkg-query', ['-L', ...chosen], { encoding: 'utf8', maxBuffer: 1 << 28 });
  const list = join(work, 'debian.list');
  const names = new Set(files.split('\n').filter((line) => line.startsWith('/') && line !== '/.'));
  writeFileSync(list, [...names].map((name) => `.${name}`).join('\n'));
  const tar = join(work, 'debian.tar');
  // Files that this machine lacks, as containers lack documentation, are left out.
  spawnSync('tar', ['-C', '/', '--no-recursion', '--ignore-failed-read', '-T', list, '-cf', tar]);
  return tar;
}

/** Bringing a Debian root from a registry on loopback, against skopeo and umoci. */
export function pullRows(work: string, registry: BenchRegistry): Row[] {
  if (!['docker-registry', 'skopeo', 'umoci', 'dpkg-query'].every(has)) return [];
  const name = (): string => `${registry.host}/debian:1`;
  const folder = join(work, 'pull-debian');
  const theirs = join(work, 'pull-skopeo');
  let published = false;
  const prepare = ([program]: readonly Program[]): void => {
    if (published || program === undefined) return;
    published = true;
    const tar = debianRoot(work);
    program.run([program.bin, 'import', tar, '-t', 'localhost/debian-root:1']);
    rmSync(tar);
    const made = context(work, 'pull-debian', 'FROM localhost/debian-root:1\nCOPY busybox /busybox\n');
    execFileSync('cp', ['/bin/busybox', join(made, 'busybox')]);
    program.run(program.build('--push', '-t', name(), made));
  };
  const before = (program: Program): void => program.forget(true);
  const beforeSkopeo = (): void => {
    rmSync(theirs, { recursive: true, force: true });
    mkdirSync(theirs);
  };
  const copy = (): string => `skopeo copy -q --src-tls-verify=false docker://${name()} oci:${theirs}/layout:1`;
  const rootless = process.getuid?.() === 0 ? '' : '--rootless';
  return [
    {
      name: 'pull and unpack of a Debian root of 170 MB',
      rounds: 5,
      folder,
      prepare,
      before,
      beforeSkopeo,
      tsbuild: ({ bin }) => [bin, 'run', '--network', 'none', name(), '/busybox', 'true'],
      skopeo: () => ['sh', '-c', `${copy()} && umoci unpack ${rootless} --image ${theirs}/layout:1 ${theirs}/bundle`],
      goal: '<= 0.6 x skopeo + umoci, below 200 MB',
      met: (ours, { skopeo }) => (!skopeo || ours.wall <= 0.6 * skopeo.wall) && ours.peak < 200_000,
    },
    {
      name: 'pull of a Debian root of 170 MB, not unpacked',
      rounds: 5,
      folder,
      prepare,
      before,
      beforeSkopeo,
      tsbuild: ({ bin }) => [bin, 'pull', '-q', name()],
      skopeo: () => ['sh', '-c', copy()],
      goal: '(for information)',
      met: () => true,
    },
  ];
}
