import type { CopyAction } from '../llb/index.ts';
import {
  type ByteString,
  cleanNames,
  type FileContent,
  type FilterState,
  joinPath,
  missingPathHint,
  type NodeAttributes,
  PathFilter,
  type ReadableTree,
  resolvePath,
  resolveWildcards,
  toByteString,
  toText,
  type TreeNode,
  type WritableTree,
  type Xattr,
} from '../tree/index.ts';
import { hasWildcards } from '../patterns/index.ts';
import { type Digest, TsbuildError } from '../util/index.ts';
import { makeDirectories } from './directories.ts';
import { type ModeChange, parseMode } from './mode.ts';
import type { Owner } from './owner.ts';

/**
 * Work is handed over in steps, so that the caller can let others run and stop in between. A step may tell a path of the
 * destination: everything before it, in byte order of whole paths, is as it stays.
 */
export type Steps = Generator<ByteString | undefined, void, void>;

const ENTRIES_PER_STEP = 64;
const NO_XATTRS: readonly Xattr[] = [];

/** The paths of the source that a copy action works on, in order. */
export function copyMatches<S>(source: ReadableTree<S>, action: CopyAction): ByteString[] {
  const path = toByteString(action.src);
  for (const required of action.requiredPaths) checkRequired(source, required);
  if (!action.allowWildcard) return [cleanNames(path).join('/')];
  const matches = resolveWildcards(source, path, action.followSymlink);
  if (matches.length === 0 && !action.allowEmptyWildcard) {
    throw new TsbuildError('TSB_NOT_FOUND', `"/${cleanNames(path).map(toText).join('/')}" not found`);
  }
  if (matches.length === 0) checkWildcardBase(source, path, action.followSymlink);
  return matches;
}

/** A wildcard may stand for nothing, but what is before it must exist (fsutil, `resolveWildcards`): else it is a name that was misspelt. */
function checkWildcardBase<S>(source: ReadableTree<S>, path: ByteString, followLast: boolean): void {
  const names = cleanNames(path);
  const first = names.findIndex(hasWildcards);
  const base = names.slice(0, first < 0 ? names.length : first).join('/');
  const located = resolvePath(source, base, { followLast });
  located.release();
  if (located.node) return;
  throw new TsbuildError('TSB_NOT_FOUND', `lstat /${toText(located.path)}: no such file or directory`, {
    hint: missingPathHint(source, base),
  });
}

/** A source of `COPY --parents` without wildcards is a pattern for the copier, but must exist. */
function checkRequired<S>(source: ReadableTree<S>, required: string): void {
  const names = cleanNames(toByteString(required));
  const located = resolvePath(source, names.join('/'), { followLast: false });
  const { node } = located;
  located.release();
  if (!node) throw notFound(source, names.join('/'));
}

/** Checks that the parent of the destination exists, for actions that must not make it. */
export function checkDestParent<D>(dest: WritableTree<D>, action: CopyAction): void {
  if (action.createDestPath) return;
  const located = resolvePath(dest, toByteString(action.dest), { followLast: true });
  const missing = located.missing.length > 1 || located.blockedBy !== undefined;
  located.release();
  if (missing) {
    throw new TsbuildError('TSB_NOT_FOUND', `failed to stat ${action.dest}: no such file or directory`);
  }
}

/**
 * Copies one match of a copy action, as BuildKit's fsutil does: the contents of a directory are merged into the
 * destination, an existing destination directory keeps its owner and mode while nested ones take those of the source,
 * files replace files, symlinks below the source stay symlinks, hard links within the source stay linked.
 */
export function* copyMatch<S, D>(
  source: ReadableTree<S>,
  match: ByteString,
  dest: WritableTree<D>,
  action: CopyAction,
  owner: Owner | undefined,
): Steps {
  const copier = new Copier(source, dest, action, owner);
  const timestamp = action.timestamp === -1n ? undefined : action.timestamp;
  const exact = action.modeStr === '' && action.mode !== -1;
  const parents = { mode: exact ? action.mode & 0o777 : 0o755, exact, owner, timestamp };
  const created: ByteString[] = [];
  const destNames = cleanNames(toByteString(action.dest));
  const wantsDir = /(?:^|\/)\.?$/.test(action.dest);
  created.push(...makeDirectories(dest, (wantsDir ? destNames : destNames.slice(0, -1)).join('/'), parents));

  const from = resolvePath(source, match, { followLast: action.followSymlink });
  try {
    if (!from.node) throw notFound(source, match);
    const isDir = from.node.type === 'directory';
    const target = targetPath(dest, destNames.join('/'), match, isDir, action.dirCopyContents);
    created.push(...makeDirectories(dest, target.mustExist, parents));
    const to = resolvePath(dest, target.path, { followLast: false });
    try {
      if (to.missing.length > 1 || to.blockedBy !== undefined) throw notDirectory(to.blockedBy ?? to.path);
      const place = { dir: to.parent, name: to.name, path: to.path, self: to.self };
      // The times of parents are set at the end.
      for (const settled of copier.copyTop(from, place)) yield timestamp === undefined ? settled : undefined;
    } finally {
      to.release();
    }
  } finally {
    from.release();
  }
  if (timestamp !== undefined) {
    for (const path of created.toReversed()) setTime(dest, path, timestamp);
  }
}

/** Where a source goes, and which directory must be there for it (fsutil's prepareTargetDir). */
function targetPath<D>(
  dest: WritableTree<D>,
  path: ByteString,
  match: ByteString,
  isDir: boolean,
  contents: boolean,
): { readonly path: ByteString; readonly mustExist: ByteString } {
  const located = resolvePath(dest, path, { followLast: true });
  located.release();
  const { node } = located;
  let target = located.path;
  if (isDir ? !contents && node !== undefined : node?.type === 'directory') {
    target = joinPath(target, match.slice(match.lastIndexOf('/') + 1));
    if (target.endsWith('/')) target = located.path;
  }
  const parent = target.slice(0, Math.max(0, target.lastIndexOf('/')));
  return { path: target, mustExist: contents && isDir && node === undefined ? target : parent };
}

function setTime<D>(dest: WritableTree<D>, path: ByteString, mtimeNs: bigint): void {
  const located = resolvePath(dest, path, { followLast: false });
  try {
    if (located.self !== undefined) dest.setAttributes(located.self, '', { mtimeNs });
  } finally {
    located.release();
  }
}

/** A name in a destination directory. */
interface Place<D> {
  readonly dir: D;
  /** `''` for the root. */
  readonly name: ByteString;
  /** From the root, without symlinks. */
  readonly path: ByteString;
}

interface Pending<D> {
  readonly node: TreeNode;
  readonly at: Level<D>;
}

/** A destination directory that is made when something goes into it. */
interface Level<D> {
  readonly path: ByteString;
  handle: D | undefined;
  /** Made by this copy, so that nothing is in it yet. */
  fresh: boolean;
}

class Copier<S, D> {
  readonly #source: ReadableTree<S>;
  readonly #dest: WritableTree<D>;
  readonly #action: CopyAction;
  readonly #owner: Owner | undefined;
  readonly #filter: PathFilter | undefined;
  readonly #mode: ModeChange;
  /** Where the first name of a source file with several names went. */
  readonly #links = new Map<string, ByteString>();
  #count = 0;
  /** The count when a settled path was told. */
  #told = 0;

  constructor(source: ReadableTree<S>, dest: WritableTree<D>, action: CopyAction, owner: Owner | undefined) {
    this.#source = source;
    this.#dest = dest;
    this.#action = action;
    this.#owner = owner;
    this.#filter = PathFilter.of(action.includePatterns, action.excludePatterns);
    const { mode } = action;
    if (action.modeStr !== '') this.#mode = parseMode(action.modeStr);
    else this.#mode = mode === -1 ? (kept) => kept : () => mode & 0o7777;
  }

  *copyTop(
    from: {
      readonly node: TreeNode | undefined;
      readonly self: S | undefined;
      readonly parent: S;
      readonly name: ByteString;
    },
    place: Place<D> & { readonly self: D | undefined },
  ): Steps {
    const node = from.node as TreeNode;
    if (from.self === undefined) {
      const existing = place.self === undefined ? this.#lookup(place) : this.#dest.stat(place.self);
      this.#copyFile(from.parent, from.name, node, place, existing);
      return;
    }
    let handle = place.self;
    let created = false;
    if (handle === undefined) {
      const existing = this.#lookup(place);
      if (existing && !this.#action.alwaysReplaceExistingDestPaths) throw notDirectory(place.path, 'copy');
      if (existing) this.#dest.remove(place.dir, place.name);
      this.#dest.mkdir(place.dir, place.name, this.#attributes(node));
      handle = this.#dest.enter(place.dir, place.name);
      created = true;
    }
    try {
      const level: Level<D> = { path: place.path, handle, fresh: created };
      const time = { mtimeNs: this.#time(node) };
      for (const settled of this.#copyChildren(from.self, level, '', PathFilter.start, [])) {
        if (settled !== undefined) this.#dest.setAttributes(handle, '', time);
        yield settled;
      }
      this.#dest.setAttributes(handle, '', time);
    } finally {
      if (created) this.#dest.leave(handle);
    }
  }

  *#copyChildren(
    sourceDir: S,
    level: Level<D>,
    prefix: ByteString,
    state: FilterState,
    waiting: readonly { readonly pending: Pending<D>; readonly parent: Level<D> }[],
  ): Steps {
    for (const name of this.#source.list(sourceDir)) {
      if (++this.#count % ENTRIES_PER_STEP === 0) yield undefined;
      // At the top, whatever follows is at this name or after it.
      if (prefix === '' && this.#count - this.#told >= ENTRIES_PER_STEP) {
        this.#told = this.#count;
        yield joinPath(level.path, name);
      }
      const path = joinPath(prefix, name);
      const result = this.#filter?.test(path, state);
      if (result && !result.included && !result.descend) continue;
      const node = this.#source.lookup(sourceDir, name);
      if (!node) continue;
      const included = result?.included ?? true;
      if (included) for (const { pending, parent } of waiting) this.#makeWaiting(pending, parent);
      if (node.type === 'directory') {
        yield* this.#copyDirectory(sourceDir, name, node, level, path, result, waiting);
      } else if (included) {
        const place = { dir: level.handle as D, name, path: joinPath(level.path, name) };
        this.#copyFile(sourceDir, name, node, place, level.fresh ? undefined : this.#lookup(place));
      }
    }
  }

  *#copyDirectory(
    sourceDir: S,
    name: ByteString,
    node: TreeNode,
    parent: Level<D>,
    path: ByteString,
    result: { readonly included: boolean; readonly descend: boolean; readonly state: FilterState } | undefined,
    waiting: readonly { readonly pending: Pending<D>; readonly parent: Level<D> }[],
  ): Steps {
    const source = this.#source.enter(sourceDir, name);
    const level: Level<D> = { path: joinPath(parent.path, name), handle: undefined, fresh: false };
    try {
      const pending = { node, at: level };
      const included = result?.included ?? true;
      if (included) this.#enterDirectory(pending, parent, true);
      if (result === undefined || result.descend) {
        const below = included ? waiting : [...waiting, { pending, parent }];
        yield* this.#copyChildren(source, level, path, result?.state ?? PathFilter.start, below);
      }
      if (level.handle !== undefined && (included || level.fresh)) {
        this.#dest.setAttributes(level.handle, '', { mtimeNs: this.#time(node) });
      }
    } finally {
      if (level.handle !== undefined) this.#dest.leave(level.handle);
      this.#source.leave(source);
    }
  }

  #makeWaiting(pending: Pending<D>, parent: Level<D>): void {
    if (pending.at.handle === undefined) this.#enterDirectory(pending, parent, false);
  }

  /** Makes or finds the destination of a directory; an existing one takes the source's metadata only when `overwrite` is set. */
  #enterDirectory({ node, at }: Pending<D>, parent: Level<D>, overwrite: boolean): void {
    const name = at.path.slice(at.path.lastIndexOf('/') + 1);
    const dir = parent.handle as D;
    let existing = parent.fresh ? undefined : this.#dest.lookup(dir, name);
    if (existing && existing.type !== 'directory') {
      if (!this.#action.alwaysReplaceExistingDestPaths) throw notDirectory(at.path, 'copy');
      this.#dest.remove(dir, name);
      existing = undefined;
    }
    const attributes = this.#attributes(node);
    if (!existing) this.#dest.mkdir(dir, name, attributes);
    else if (overwrite) this.#dest.setAttributes(dir, name, attributes);
    at.handle = this.#dest.enter(dir, name);
    at.fresh = existing === undefined;
  }

  #copyFile(sourceDir: S, name: ByteString, node: TreeNode, place: Place<D>, existing: TreeNode | undefined): void {
    const source = this.#source;
    const dest = this.#dest;
    if (existing) {
      if (existing.type === 'directory' && !this.#action.alwaysReplaceExistingDestPaths) {
        throw new TsbuildError('TSB_CONTEXT', `cannot replace to directory /${toText(place.path)} with file`);
      }
      dest.remove(place.dir, place.name);
    }
    const first = node.hardlink === undefined ? undefined : this.#links.get(node.hardlink);
    if (first !== undefined) {
      dest.link(first, place.dir, place.name);
      return;
    }
    if (node.hardlink !== undefined) this.#links.set(node.hardlink, place.path);
    const attributes = this.#attributes(node);
    switch (node.type) {
      case 'file':
        return dest.createFile(place.dir, place.name, attributes, new CopiedContent(source, sourceDir, name, node));
      case 'symlink':
        return dest.symlink(place.dir, place.name, node.linkname, attributes);
      case 'fifo':
        return dest.mkfifo(place.dir, place.name, attributes);
      case 'socket':
        // BuildKit copies sockets as empty files.
        return dest.createFile(place.dir, place.name, attributes, new Uint8Array());
      case 'directory':
        throw new TypeError('directories are copied elsewhere');
      case 'char':
      case 'block':
        throw new TsbuildError('TSB_CONTEXT', `Cannot copy "/${toText(place.path)}": it is a device`, {
          hint: 'exclude it in .dockerignore or with --exclude',
        });
    }
  }

  #lookup(place: Place<D>): TreeNode | undefined {
    return this.#dest.lookup(place.dir, place.name);
  }

  #attributes(node: TreeNode): NodeAttributes {
    return {
      mode: this.#mode(node.mode, node.type === 'directory'),
      uid: this.#owner?.uid ?? node.uid,
      gid: this.#owner?.gid ?? node.gid,
      mtimeNs: this.#time(node),
      // Files get theirs with their content, and nothing else has any.
      xattrs: NO_XATTRS,
    };
  }

  #time(node: TreeNode): bigint {
    return this.#action.timestamp === -1n ? node.mtimeNs : this.#action.timestamp;
  }
}

function notFound<S>(source: ReadableTree<S>, path: ByteString): TsbuildError {
  return new TsbuildError('TSB_NOT_FOUND', `"/${toText(path)}": not found`, {
    hint: missingPathHint(source, path),
  });
}

function notDirectory(path: ByteString, doing: 'copy' | 'mkdir' = 'mkdir'): TsbuildError {
  const text = toText(path);
  const message = doing === 'copy' ? `cannot copy to non-directory: /${text}` : `mkdir /${text}: not a directory`;
  return new TsbuildError('TSB_CONTEXT', message);
}

/** The content of a file of the source. A class, since there may be very many. */
class CopiedContent<S> implements FileContent {
  readonly #tree: ReadableTree<S>;
  readonly #dir: S;
  readonly #name: ByteString;
  readonly #node: TreeNode;

  constructor(tree: ReadableTree<S>, dir: S, name: ByteString, node: TreeNode) {
    this.#tree = tree;
    this.#dir = dir;
    this.#name = name;
    this.#node = node;
  }

  get size(): number {
    return this.#node.size;
  }

  get hasMoreNames(): boolean {
    return this.#node.hardlink !== undefined;
  }

  open(): number {
    return this.#tree.open(this.#dir, this.#name, this.#node);
  }

  close(fd: number): void {
    this.#tree.close(fd, this.#dir, this.#name, this.#node);
  }

  xattrs(fd: number): readonly Xattr[] {
    return this.#tree.openXattrs(fd);
  }

  learn(content: Digest, xattrs: readonly Xattr[]): void {
    this.#tree.learnContent?.(this.#dir, this.#name, this.#node, content, xattrs);
  }
}
