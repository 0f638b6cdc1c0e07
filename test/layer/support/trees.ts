import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AT_FDCWD,
  close,
  fdPath,
  getXattr,
  listXattrs,
  O_DIRECTORY,
  O_RDONLY,
  openat,
  readlinkat,
  statat,
} from '../../../src/sys/index.ts';
import { sha256 } from '../../../src/util/index.ts';

export interface DescribeOptions {
  /** Modification times to the nanosecond (default), in seconds, or none. */
  readonly times?: 'ns' | 's' | 'none';
}

/**
 * Everything about a tree, a line per file in byte order: type and mode, owner, time, content or link target, xattrs,
 * and which names are links of each other.
 */
export function describeTree(root: string, options: DescribeOptions = {}): string[] {
  const { times = 'ns' } = options;
  const lines: string[] = [];
  const links = new Map<string, string>();
  const visit = (dirfd: number, shown: string): void => {
    for (const name of readdirSync(`/proc/self/fd/${dirfd}`, { encoding: 'latin1' }).sort()) {
      const bytes = Buffer.from(name, 'latin1');
      const stat = statat(dirfd, bytes);
      const path = fdPath(dirfd, bytes);
      const text = `${shown}${name}`;
      const type = (stat.mode >> 12).toString(8);
      const parts = [text, type, (stat.mode & 0o7777).toString(8), `${stat.uid}:${stat.gid}`];
      if (times !== 'none') parts.push(times === 'ns' ? `${stat.mtimeSec}.${stat.mtimeNsec}` : String(stat.mtimeSec));
      if (type === '10') parts.push(sha256(readFileSync(path)).slice(7, 19));
      if (type === '12') parts.push(`-> ${readlinkat(dirfd, bytes).toString('latin1')}`);
      if (type === '2' || type === '6') parts.push(`${stat.rdevMajor},${stat.rdevMinor}`);
      if (type === '10' || type === '4')
        for (const attribute of listXattrs(path).sort())
          parts.push(`${attribute}=${getXattr(path, attribute)?.toString('hex')}`);
      if (stat.nlink > 1 && type !== '4') {
        const key = `${stat.inoHigh}:${stat.inoLow}`;
        parts.push(`same as ${links.get(key) ?? 'none'}`);
        if (!links.has(key)) links.set(key, text);
      }
      lines.push(parts.join(' '));
      if (type === '4') {
        const child = openat(dirfd, bytes, O_RDONLY | O_DIRECTORY);
        visit(child, `${text}/`);
        close(child);
      }
    }
  };
  const fd = openat(AT_FDCWD, root, O_RDONLY | O_DIRECTORY);
  visit(fd, '');
  close(fd);
  return lines;
}

/** The same about a directory that must not change, with its own times. */
export function fingerprint(dir: string): string {
  const stat = lstatSync(dir, { bigint: true });
  const own = [stat.mode, stat.mtimeNs, stat.ctimeNs, lstatSync(join(dir, 'hello')).nlink];
  return JSON.stringify([own.map(String), describeTree(dir)]);
}
