/**
 * LLB file operations: copy, mkdir, mkfile, rm, symlink. Where that is possible they give entries (`fileOpEntries`), which go to a
 * blob or a directory; `runFileActions` does the others on mounted roots.
 */
export { copyAll } from './copy-all.ts';
export {
  canMakeEntries,
  type DirectInput,
  fileOpEntries,
  type LayerStream,
  writeFileOpDirectory,
  writeFileOpLayer,
} from './entries.ts';
export type { OverlayEntry } from './overlay-tree.ts';
export { runFileActions } from './run.ts';
export type {
  AppliedOp,
  FileInput,
  FileOpHost,
  FileOpOutput,
  FileOpParams,
  FileOpResult,
  KnownBase,
  OpenInput,
  WritableRoot,
} from './types.ts';
