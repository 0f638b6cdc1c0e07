// Runs in namespace A: mounts random stacks at once and in portions, reads them without a mount, and compares what is seen.
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { array, assert, constantFrom, property, record } from 'fast-check';
import {
  AT_FDCWD,
  close,
  MNT_DETACH,
  mountOverlay,
  O_DIRECTORY,
  O_RDONLY,
  openat,
  setXattr,
  umount,
} from '../../src/sys/index.ts';
import { isOpaque, LayersTree, OPAQUE, toText, walkTree } from '../../src/tree/index.ts';
import { shallowStack } from '../../src/worker/deep-stack.ts';

const { privateDir, dir } = JSON.parse(process.argv[2] ?? '{}') as { privateDir: string; dir: string };

const name = constantFrom('a', 'b', 'c');
const change = record({
  path: array(name, { minLength: 1, maxLength: 3 }),
  kind: constantFrom('file', 'directory', 'removed', 'moved'),
});
interface Change {
  readonly path: readonly string[];
  readonly kind: 'file' | 'directory' | 'removed' | 'moved';
}

/** What steps do, one layer each, on an overlay of the layers so far. */
function makeLayers(own: string, stack: readonly (readonly Change[])[]): readonly string[] {
  const layers: string[] = [];
  for (const [number, changes] of stack.entries()) {
    const [layer, work, path] = [`${own}/${number}`, `${own}/${number}-work`, `${own}/${number}-root`] as const;
    for (const made of [layer, work, path]) mkdirSync(made);
    if (layers.length > 0) mountOverlay(path, { lowers: layers, upper: layer, work });
    for (const one of changes) apply(layers.length > 0 ? path : layer, one, number);
    if (layers.length > 0) umount(path, MNT_DETACH);
    if (number % 2 === 1) inFiles += whiteoutsToFiles(layer);
    layers.push(layer);
  }
  return layers;
}

/** The same layer as it is made where nobody can make the device that a whiteout is. @returns how many there were */
function whiteoutsToFiles(layer: string): number {
  const dirfd = openat(AT_FDCWD, layer, O_RDONLY | O_DIRECTORY);
  const whiteouts: string[] = [];
  let inside = 0;
  for (const entry of readdirSync(layer, { withFileTypes: true })) {
    if (entry.isCharacterDevice()) whiteouts.push(entry.name);
    else if (entry.isDirectory()) inside += whiteoutsToFiles(`${layer}/${entry.name}`);
  }
  for (const one of whiteouts) {
    rmSync(`${layer}/${one}`);
    writeFileSync(`${layer}/${one}`, '');
    setXattr(`${layer}/${one}`, 'user.overlay.whiteout', 'y');
    setXattr(dirfd, 'user.overlay.whiteouts', 'y');
    if (!isOpaque(dirfd)) setXattr(dirfd, OPAQUE, 'x');
  }
  close(dirfd);
  return whiteouts.length + inside;
}

function apply(root: string, { path, kind }: Change, number: number): void {
  const at = `${root}/${path.join('/')}`;
  try {
    mkdirSync(at.slice(0, at.lastIndexOf('/')), { recursive: true });
    if (kind !== 'moved') rmSync(at, { recursive: true, force: true });
    if (kind === 'moved') renameSync(at, `${root}/${path.length}`);
    if (kind === 'file') writeFileSync(at, `${number}`);
    if (kind === 'directory') mkdirSync(at, { mode: 0o700 + (number % 64) });
  } catch {
    // A parent is a file, or what should be moved is not there.
  }
}

/** What the kernel lists of a whiteout in a directory that only one layer has. */
const LISTED_ONLY = 'listed only';

function look(path: string): Record<string, string> {
  const seen: Record<string, string> = {};
  for (const one of (readdirSync(path, { recursive: true }) as string[]).toSorted()) {
    const stat = lstatSync(`${path}/${one}`, { throwIfNoEntry: false });
    if (!stat) seen[one] = LISTED_ONLY;
    else seen[one] = stat.isDirectory() ? `directory ${stat.mode.toString(8)}` : readFileSync(`${path}/${one}`, 'utf8');
  }
  return seen;
}

function mounted(lowers: readonly string[]): Record<string, string> {
  const path = mkdtempSync(`${privateDir}/test-`);
  mountOverlay(path, { lowers });
  try {
    return look(path);
  } finally {
    umount(path, MNT_DETACH);
  }
}

/** The same as `LayersTree` has it, which lists nothing that is not there. */
function read(lowers: readonly string[]): Record<string, string> {
  using tree = new LayersTree(lowers, { idShift: 0 });
  const seen: Record<string, string> = {};
  walkTree(tree, tree.root, undefined, ({ dir, name, node, path }) => {
    const mode = (0o40000 | node.mode).toString(8);
    if (node.type === 'directory') seen[toText(path)] = `directory ${mode}`;
    else {
      const fd = tree.open(dir, name);
      seen[toText(path)] = readFileSync(fd, 'utf8');
      tree.close(fd);
    }
  });
  return seen;
}

/** Ten layers are divided as 21,296 are in earnest: a lowest portion, and two in the middle with masks. */
const LIMITS = { most: 5, middle: 3 };

let runs = 0;
let inFiles = 0;
let hidden = 0;
assert(
  property(array(array(change, { maxLength: 5 }), { minLength: 8, maxLength: 10 }), (stack) => {
    const own = mkdtempSync(`${dir}/stack-`);
    const layers = makeLayers(own, stack);
    const fewer = shallowStack({ privateDir }, layers, LIMITS);
    const [want, got] = [mounted(layers), mounted(fewer)];
    // Names that only are listed need not be.
    const differs = [...new Set([...Object.keys(want), ...Object.keys(got)])].some(
      (name) => got[name] !== want[name] && !(want[name] === LISTED_ONLY && got[name] === undefined),
    );
    if (fewer.length > LIMITS.most || differs)
      throw new Error(`${fewer.length} directories show ${JSON.stringify(got)} and not ${JSON.stringify(want)}`);
    const shown = Object.entries(want).filter(([, what]) => what !== LISTED_ONLY);
    const unmounted = Object.entries(read(layers)).toSorted(([a], [b]) => (a < b ? -1 : 1));
    if (JSON.stringify(unmounted) !== JSON.stringify(shown.toSorted(([a], [b]) => (a < b ? -1 : 1))))
      throw new Error(`A tree shows ${JSON.stringify(unmounted)} and not ${JSON.stringify(shown)}`);
    runs++;
    hidden += fewer.filter((path) => path.endsWith('/mask') && readdirSync(path).length > 0).length;
    rmSync(own, { recursive: true, force: true });
  }),
  { numRuns: 60 },
);
let error = '';
try {
  shallowStack({ privateDir }, Array<string>(21_297).fill(dir));
} catch (caught) {
  error = (caught as Error).message;
}
process.stdout.write(JSON.stringify({ runs, hidden, inFiles, error }));
