import type { CopyAction, FileAction, MkdirAction, MkfileAction, RmAction, SymlinkAction } from '../llb/index.ts';
import {
  type ByteString,
  cleanNames,
  joinPath,
  type NodeAttributes,
  type ReadableTree,
  resolvePath,
  resolveWildcards,
  toByteString,
  toText,
  type WritableTree,
} from '../tree/index.ts';
import { TsbuildError } from '../util/index.ts';
import { actionError } from './action-error.ts';
import { checkDestParent, copyMatch, copyMatches, type Steps } from './copy.ts';
import { makeDirectories, newDirectory } from './directories.ts';
import { type Owner, resolveOwner } from './owner.ts';

/** The tree that actions change, and what is the same for all of them. */
export interface ActionContext<D> {
  readonly action: FileAction;
  /** Changed by the action. */
  readonly tree: WritableTree<D>;
  /** Read by a copy. */
  readonly source: ReadableTree<unknown> | undefined;
  /** The tree of an input of the op, for looking up owners. */
  readonly treeOf: (input: number) => ReadableTree<unknown> | undefined;
  readonly warn: (message: string) => void;
  readonly signal: AbortSignal;
  /** Unpacks a match of an ADD if it is an archive. */
  readonly unpack: (match: ByteString, action: CopyAction, owner: Owner | undefined) => Promise<boolean>;
}

/**
 * Does one action to a tree.
 * @throws TsbuildError
 */
export async function applyAction<D>(context: ActionContext<D>): Promise<void> {
  const { action, tree, source, treeOf, warn, signal, unpack } = context;
  try {
    const owner = action.kind === 'rm' ? undefined : resolveOwner(action.owner, treeOf, warn);
    switch (action.kind) {
      case 'mkdir':
        return mkdir(tree, action, owner);
      case 'mkfile':
        return mkfile(tree, action, owner);
      case 'symlink':
        return symlink(tree, action, owner);
      case 'rm':
        return rm(tree, action);
      case 'copy': {
        if (!source) throw new TsbuildError('TSB_LLB', 'Cannot run a copy action: it has no source');
        checkDestParent(tree, action);
        for (const match of copyMatches(source, action)) {
          if (action.attemptUnpack && (await unpack(match, action, owner))) continue;
          await runSteps(copyMatch(source, match, tree, action, owner), signal);
        }
      }
    }
  } catch (error) {
    throw actionError(error, action);
  }
}

/**
 * The steps of a copy action that unpacks nothing. Paths are told to be settled only where one source is copied.
 * @throws TsbuildError, as `applyAction`
 */
export function* copySteps<D>(
  context: Pick<ActionContext<D>, 'tree' | 'source' | 'treeOf' | 'warn'>,
  action: Extract<FileAction, { readonly kind: 'copy' }>,
): Steps {
  const { tree, source, treeOf, warn } = context;
  try {
    const owner = resolveOwner(action.owner, treeOf, warn);
    if (!source) throw new TsbuildError('TSB_LLB', 'Cannot run a copy action: it has no source');
    checkDestParent(tree, action);
    const matches = copyMatches(source, action);
    for (const match of matches) {
      for (const settled of copyMatch(source, match, tree, action, owner))
        yield matches.length === 1 ? settled : undefined;
    }
  } catch (error) {
    throw actionError(error, action);
  }
}

/** Milliseconds of work after which others get their turn. */
const TURN_MS = 20;

async function runSteps(steps: Steps, signal: AbortSignal): Promise<void> {
  let turn = performance.now();
  try {
    while (!steps.next().done) {
      if (performance.now() - turn < TURN_MS) continue;
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
      turn = performance.now();
    }
  } finally {
    // Releases what the steps hold when they did not get to their end.
    steps.return();
  }
}

function mkdir<D>(tree: WritableTree<D>, action: MkdirAction, owner: Owner | undefined): void {
  const path = toByteString(action.path);
  const attributes = { mode: action.mode & 0o777, owner, timestamp: timeOf(action.timestamp) };
  if (action.makeParents) {
    const made = makeDirectories(tree, path, attributes);
    if (attributes.timestamp === undefined) return;
    for (const one of made.toReversed()) {
      const located = resolvePath(tree, one, { followLast: false });
      if (located.self !== undefined) tree.setAttributes(located.self, '', { mtimeNs: attributes.timestamp });
      located.release();
    }
    return;
  }
  const located = resolvePath(tree, path, { followLast: true });
  try {
    if (located.node) return;
    if (located.blockedBy !== undefined) throw failure('mkdir', action.path, 'not a directory');
    if (located.missing.length > 1) throw failure('mkdir', action.path, 'no such file or directory');
    tree.mkdir(located.parent, located.name, newDirectory(tree.stat(located.parent), attributes));
  } finally {
    located.release();
  }
}

function mkfile<D>(tree: WritableTree<D>, action: MkfileAction, owner: Owner | undefined): void {
  const located = resolvePath(tree, toByteString(action.path), { followLast: true });
  const { node, parent, name, missing } = located;
  try {
    if (located.blockedBy !== undefined) throw failure('open', action.path, 'not a directory');
    if (missing.length > 1) throw failure('open', action.path, 'no such file or directory');
    if (node?.type === 'directory') throw failure('open', action.path, 'is a directory');
    const attributes = attributesFor(action.mode & 0o777, owner, action.timestamp);
    if (!node) return tree.createFile(parent, name, attributes, action.data);
    if (node.type !== 'file') throw failure('open', action.path, 'not a regular file');
    tree.truncateFile(parent, name, action.data);
    const mtimeNs = timeOf(action.timestamp);
    tree.setAttributes(parent, name, { ...owner, ...(mtimeNs === undefined ? {} : { mtimeNs }) });
  } finally {
    located.release();
  }
}

function symlink<D>(tree: WritableTree<D>, action: SymlinkAction, owner: Owner | undefined): void {
  const located = resolvePath(tree, toByteString(action.newPath), { followLast: true });
  try {
    if (located.node) throw failure('symlink', action.newPath, 'file exists');
    if (located.blockedBy !== undefined) throw failure('symlink', action.newPath, 'not a directory');
    if (located.missing.length > 1) throw failure('symlink', action.newPath, 'no such file or directory');
    const attributes = attributesFor(0o777, owner, action.timestamp);
    tree.symlink(located.parent, located.name, toByteString(action.oldPath), attributes);
  } finally {
    located.release();
  }
}

function rm<D>(tree: WritableTree<D>, action: RmAction): void {
  const path = toByteString(action.path);
  const matches = action.allowWildcard ? resolveWildcards(tree, path, false) : [cleanNames(path).join('/')];
  for (const match of matches) removePath(tree, match, action);
}

function removePath<D>(tree: WritableTree<D>, path: ByteString, action: RmAction): void {
  const slash = path.lastIndexOf('/');
  const name = path.slice(slash + 1);
  if (name === '') throw new TsbuildError('TSB_LLB', 'Cannot remove "/": the root of an image cannot be removed');
  const above = resolvePath(tree, path.slice(0, Math.max(slash, 0)), { followLast: true });
  try {
    const exists = above.self !== undefined && tree.lookup(above.self, name) !== undefined;
    if (exists) tree.remove(above.self, name);
    else if (!action.allowNotFound) {
      throw failure('rm', toText(joinPath('', path)), 'no such file or directory', 'TSB_NOT_FOUND');
    }
  } finally {
    above.release();
  }
}

function attributesFor(mode: number, owner: Owner | undefined, timestamp: bigint): NodeAttributes {
  return { mode, uid: owner?.uid ?? 0, gid: owner?.gid ?? 0, mtimeNs: timeOf(timestamp), xattrs: [] };
}

/** LLB writes "now" as -1. */
function timeOf(timestamp: bigint): bigint | undefined {
  return timestamp === -1n ? undefined : timestamp;
}

function failure(
  doing: string,
  path: string,
  why: string,
  code: 'TSB_CONTEXT' | 'TSB_NOT_FOUND' = 'TSB_CONTEXT',
): TsbuildError {
  return new TsbuildError(code, `${doing} ${path.startsWith('/') ? path : `/${path}`}: ${why}`);
}
