import type { CopyAction, FileOp } from '../../llb/index.ts';
import type { Selector } from '../../tree/index.ts';
import { fileInputUse } from './file-key.ts';

/** What the copies of a file op read from an input. */
export function selectorsOf(file: FileOp, input: number): readonly Selector[] {
  return fileInputUse(file, input).copies.map(selectorOf);
}

/** The same, and what is read besides: the user databases of a named owner. They may be missing, so they are wildcards. */
export function allSelectorsOf(file: FileOp, input: number): readonly Selector[] {
  const { databases } = fileInputUse(file, input);
  return databases
    ? [...selectorsOf(file, input), ...['/etc/passw[d]', '/etc/grou[p]'].map(wildcard)]
    : selectorsOf(file, input);
}

function selectorOf(copy: CopyAction): Selector {
  return {
    path: copy.src,
    followLinks: copy.followSymlink,
    wildcard: copy.allowWildcard,
    include: copy.includePatterns,
    exclude: copy.excludePatterns,
    contents: copy.dirCopyContents,
    required: copy.requiredPaths,
  };
}

function wildcard(path: string): Selector {
  return { path, followLinks: true, wildcard: true, include: [], exclude: [], contents: false, required: [] };
}
