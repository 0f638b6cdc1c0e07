import type { CopyAction, FileAction } from '../llb/index.ts';

/** Copies a whole tree onto an empty one, as it is. Give it the `output` that is wanted. */
export const copyAll: CopyAction & FileAction = {
  kind: 'copy',
  input: -1,
  secondaryInput: 0,
  output: -1,
  src: '/',
  dest: '/',
  mode: -1,
  followSymlink: false,
  dirCopyContents: true,
  attemptUnpack: false,
  createDestPath: true,
  allowWildcard: false,
  allowEmptyWildcard: false,
  timestamp: -1n,
  includePatterns: [],
  excludePatterns: [],
  alwaysReplaceExistingDestPaths: false,
  modeStr: '',
  requiredPaths: [],
};
