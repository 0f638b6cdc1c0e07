// Runs in namespace A: mounts stacks and says what it sees.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { WorkerConfig } from '../../src/worker/index.ts';
import { setXattr } from '../../src/sys/index.ts';
import { LayersTree } from '../../src/tree/index.ts';
import type { Upper } from '../../src/worker/mounted-stack.ts';
import { mountStack } from '../../src/worker/stack-mounts.ts';

const { privateDir, layers, upper } = JSON.parse(process.argv[2] ?? '{}') as {
  privateDir: string;
  layers: string[];
  upper: Upper;
};
const config = { privateDir, plan: {} } as WorkerConfig;
const tryWrite = (path: string): string => {
  try {
    writeFileSync(path, '');
    return 'written';
  } catch (error) {
    return (error as { code: string }).code;
  }
};
const withStack = <T>(stackLayers: string[], top: Upper | undefined, use: (path: string) => T): T => {
  using stack = mountStack(config, stackLayers, top);
  return use(stack.path);
};
const one = withStack(layers.slice(0, 1), undefined, (path) => [...readdirSync(path), tryWrite(`${path}/x`)]);
const none = withStack([], undefined, (path) => readdirSync(path).length);
const all = withStack(layers, upper, (path) => {
  rmSync(`${path}/own`, { recursive: true });
  return [readFileSync(`${path}/same`, 'utf8'), tryWrite(`${path}/new`)];
});
const again = withStack(layers, upper, (path) => readdirSync(path).toSorted());
const kept = mountStack(config, layers);
const open = readdirSync(privateDir).length;
kept[Symbol.dispose]();
// The root of an image's layer may hide everything below (`.wh..wh..opq`), which the kernel does not look for.
const opaque = layers[58] ?? '';
setXattr(opaque, 'user.overlay.opaque', 'y');
const upTo = layers.slice(57);
const hidden = withStack(upTo, undefined, (path) => readdirSync(`${path}/own`).toSorted());
using tree = new LayersTree(upTo, { idShift: 0 });
const unmounted = tree.list(tree.enter(tree.root, 'own'));
process.stdout.write(JSON.stringify({ hidden, unmounted, one, none, all, again, open, left: readdirSync(privateDir) }));
