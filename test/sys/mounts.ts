// Run by sys.test.ts inside `unshare -m`; the argument is an empty directory.
import { mkdirSync, readdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../src/util/index.ts';
import { MS_BIND } from './constants.ts';
import { MNT_DETACH, mountOverlay, umount } from '../../src/sys/index.ts';
import { mount } from '../../src/sys/mount.ts';

const root = process.argv[2] ?? '';
const at = (...names: string[]): string => {
  const path = join(root, ...names);
  mkdirSync(path, { recursive: true });
  return path;
};
const errnoOfCall = (action: () => void): string | undefined => {
  try {
    action();
  } catch (error) {
    return errnoOf(error);
  }
  return undefined;
};

// 80 long paths are more than mount(2) takes in its one page, and some more than fsconfig(2) takes.
const lowers = Array.from({ length: 80 }, (_, index) =>
  at('lowers', `${index}-${'x'.repeat(index % 2 === 0 ? 100 : 250)},:`),
);
writeFileSync(join(lowers[0] ?? '', 'bottom'), 'bottom');
writeFileSync(join(lowers[0] ?? '', 'both'), 'bottom');
writeFileSync(join(lowers[79] ?? '', 'both'), 'top');
const merged = at('merged');
mountOverlay(merged, {
  lowers,
  upper: at('long'.repeat(60), 'upper'),
  work: at('long'.repeat(60), 'work'),
  volatile: true,
});
writeFileSync(join(merged, 'new'), '');
const bottom = readFileSync(join(merged, 'bottom'), 'utf8');
const top = readFileSync(join(merged, 'both'), 'utf8');
umount(merged);

mount('tmpfs', merged, { type: 'tmpfs', data: 'size=64k' });
const TMPFS_MAGIC = 0x01021994;
const tmpfs = statfsSync(merged).type === TMPFS_MAGIC;
mount(merged, at('bound'), { flags: MS_BIND });
umount(at('bound'), MNT_DETACH);
umount(merged);
const errors = [
  errnoOfCall(() => umount(merged)),
  errnoOfCall(() => mountOverlay(merged, { lowers: [join(root, 'none'), root] })),
];
console.log(JSON.stringify({ bottom, top, upper: readdirSync(at('long'.repeat(60), 'upper')), tmpfs, errors }));
