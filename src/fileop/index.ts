/**
 * LLB file operations: copy, mkdir, mkfile, rm, symlink. `runFileActions` does them on mounted roots; `layerEntries`
 * computes the layer that they would make without writing any file, where that is possible.
 */
export { copyAll } from './copy-all.ts';
export { canMakeEntries, type DirectLayer, layerEntries, writeFileOpLayer } from './direct.ts';
export { parseMode, type ModeChange } from './mode.ts';
export type { OverlayEntry } from './overlay-tree.ts';
export { runFileActions } from './run.ts';
export type {
  FileInput,
  FileOpHost,
  FileOpOutput,
  FileOpParams,
  FileOpResult,
  OpenInput,
  WritableRoot,
} from './types.ts';
