// Run by diff.test.ts inside `unshare -m`. Arguments: an empty directory, a shell script that changes the tree in its
// working directory, and the id shift. Prints what came of it as JSON.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { diffLayer } from '../../src/layer/index.ts';
import { applyLayer } from './support/apply-layer.ts';
import { MNT_DETACH, mountOverlay, umount } from '../../src/sys/index.ts';
import { MemorySink } from './support/memory-sink.ts';
import { readTar } from './support/read-tar.ts';
import { describeTree } from './support/trees.ts';

const [root = '', prepare = '', change = '', shift = '0'] = process.argv.slice(2);
const idShift = Number(shift);
const at = (name: string): string => {
  const path = join(root, name);
  mkdirSync(path);
  return path;
};

/** Runs a script in a tree, in an overlay of the layers and a new one; gives the new layer's directory and the tree. */
function changeTree(script: string, lowers: readonly string[], name: string): { upper: string; tree: string[] } {
  const upper = at(`${name}-upper`);
  const merged = at(`${name}-merged`);
  if (lowers.length === 0) {
    execFileSync('sh', ['-euc', script], { cwd: upper, stdio: ['ignore', 'ignore', 'inherit'] });
    return { upper, tree: [] };
  }
  mountOverlay(merged, { lowers, upper, work: at(`${name}-work`) });
  execFileSync('sh', ['-euc', script], { cwd: merged, stdio: ['ignore', 'ignore', 'inherit'] });
  const tree = describeTree(merged, { times: 's' });
  umount(merged, MNT_DETACH);
  return { upper, tree };
}

const bottom = changeTree(prepare.split('---')[0] ?? '', [], 'bottom').upper;
const middle = changeTree(prepare.split('---')[1] ?? ':', [bottom], 'middle').upper;
const lowers = [bottom, middle];
const { upper, tree } = changeTree(change, lowers, 'top');

const sink = new MemorySink();
await diffLayer({ upper, lowers, idShift, compression: { kind: 'none' }, sink });
const entries = readTar(sink.bytes);

const again = at('again');
await applyLayer({ blob: [sink.bytes], compression: 'none', target: again, lowers, idShift });
const merged = at('again-merged');
mountOverlay(merged, { lowers, upper: again, work: at('again-work') });
const treeAgain = describeTree(merged, { times: 's' });
umount(merged, MNT_DETACH);

const second = new MemorySink();
await diffLayer({ upper: again, lowers, idShift, compression: { kind: 'none' }, sink: second });

console.log(
  JSON.stringify({
    entries: entries.map((entry) => `${entry.path}${entry.linkPath === '' ? '' : ` -> ${entry.linkPath}`}`),
    owners: entries.map((entry) => `${entry.path} ${entry.uid}:${entry.gid}`),
    xattrs: entries.flatMap((entry) =>
      [...(entry.xattrs ?? [])].map(([name, value]) => `${entry.path} ${name} ${value.toString('hex')}`),
    ),
    tree,
    treeAgain,
    stable: sink.bytes.equals(second.bytes),
  }),
);
