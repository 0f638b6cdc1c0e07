import { afterAll } from 'vitest';
import { OverlayTree } from '../../src/fileop/overlay-tree.ts';
import {
  ContextTree,
  decodeSummary,
  encodeSummary,
  FsTree,
  LayersTree,
  type ReadableTree,
} from '../../src/tree/index.ts';
import { TempDir } from '../tree/support.ts';
import { treeSuite } from './tree.ts';

/** The suite hands directories back as it got them, so that it need not know what they are. */
const any = <D>(tree: ReadableTree<D>): ReadableTree<unknown> => tree;

const empty = new TempDir();
afterAll(() => empty[Symbol.dispose]());

treeSuite('a build context', (dir) => any(ContextTree.open(dir, { xattrs: false })));
treeSuite('a mounted root', (dir) => any(FsTree.open(dir, { idShift: 0 })));
treeSuite('a layer', (dir) => any(new LayersTree([dir], { idShift: 0 })));
treeSuite('a layer on others', (dir) => any(new LayersTree([empty.path, empty.path, dir], { idShift: 0 })));
treeSuite('layers with changes in memory', (dir) => any(new OverlayTree(new LayersTree([dir], { idShift: 0 }), 0n)));
treeSuite('changes in memory on others', (dir) =>
  any(new OverlayTree(new OverlayTree(new LayersTree([dir], { idShift: 0 }), 0n), 0n)),
);

/** What travels is bytes. */
const summaryOf = (dir: string): Uint8Array => encodeSummary(new LayersTree([dir], { idShift: 0 })) ?? new Uint8Array();
treeSuite('a tree that is known by its summary', (dir) => any(decodeSummary(summaryOf(dir))), false);
treeSuite('changes in memory on a summary', (dir) => any(new OverlayTree(decodeSummary(summaryOf(dir)), 0n)), false);
