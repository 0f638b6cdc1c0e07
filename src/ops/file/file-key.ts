import { posix } from 'node:path';
import type { ChownOptions, CopyAction, FileActionBase, FileOp, UserOption } from '../../llb/index.ts';
import { type Canonical, canonicalDigest, type Digest } from '../../util/index.ts';

/**
 * Identity of a file op without its inputs. The source of a copy counts with its base name only: what it reads is named by the
 * selector and the content key of the input, so that moving a directory in the context does not run the step again.
 */
export function fileKey(file: FileOp): Digest {
  return canonicalDigest(
    'tsbuild.file.v2',
    file.actions.map((action): Canonical => {
      const place = [action.input, action.secondaryInput, action.output];
      switch (action.kind) {
        case 'copy':
          return {
            place,
            kind: 'copy',
            src: posix.basename(action.src),
            dest: action.dest,
            owner: ownerKey(action.owner),
            mode: action.mode,
            modeStr: action.modeStr,
            flags: [
              action.followSymlink,
              action.dirCopyContents,
              action.attemptUnpack,
              action.createDestPath,
              action.allowWildcard,
              action.allowEmptyWildcard,
              action.alwaysReplaceExistingDestPaths,
            ],
            // Counts how archives are unpacked: owners of implied directories and of hard links.
            ...(action.attemptUnpack ? { unpacking: 2 } : {}),
            timestamp: String(action.timestamp),
            include: action.includePatterns,
            exclude: action.excludePatterns,
            // Layers made before these were checked for may lack some of them.
            ...(action.requiredPaths.length > 0 ? { checked: action.requiredPaths } : { required: [] }),
          };
        case 'mkfile':
          return {
            place,
            kind: 'mkfile',
            path: action.path,
            mode: action.mode,
            data: action.data,
            owner: ownerKey(action.owner),
            timestamp: String(action.timestamp),
          };
        case 'mkdir':
          return {
            place,
            kind: 'mkdir',
            path: action.path,
            mode: action.mode,
            parents: action.makeParents,
            owner: ownerKey(action.owner),
            timestamp: String(action.timestamp),
          };
        case 'rm':
          return {
            place,
            kind: 'rm',
            path: action.path,
            missingOk: action.allowNotFound,
            wildcard: action.allowWildcard,
          };
        case 'symlink':
          return {
            place,
            kind: 'symlink',
            old: action.oldPath,
            new: action.newPath,
            owner: ownerKey(action.owner),
            timestamp: String(action.timestamp),
          };
      }
    }),
  );
}

function ownerKey(owner: ChownOptions | undefined): Canonical {
  const part = (option: UserOption | undefined): Canonical => {
    if (option === undefined) return null;
    return option.kind === 'byId' ? ['id', option.id] : ['name', option.name, option.input];
  };
  return owner === undefined ? null : [part(owner.user), part(owner.group)];
}

/** The copies that read an input of a file op. */
export interface FileInputUse {
  readonly copies: readonly CopyAction[];
  /** Paths read besides copies: the user databases of a named owner. */
  readonly databases: boolean;
  /** The input is written to, or handed on: only its own key can stand for it. */
  readonly base: boolean;
}

/** How a file op uses its input. */
export function fileInputUse(file: FileOp, input: number): FileInputUse {
  const copies: CopyAction[] = [];
  let base = false;
  let databases = false;
  for (const action of file.actions) {
    if (action.input === input) base = true;
    if (action.kind === 'copy' && action.secondaryInput === input) copies.push(action);
    if ('owner' in action && readsDatabases(action, input)) databases = true;
  }
  return { copies, databases, base };
}

function readsDatabases(action: FileActionBase & { readonly owner?: ChownOptions }, input: number): boolean {
  return [action.owner?.user, action.owner?.group].some(
    (option) => option?.kind === 'byName' && option.input === input,
  );
}
