import type { ContentSource, EntryType, LayerEntry } from '../layer/index.ts';
import type { Digest } from '../util/index.ts';
import { type LayerNode, type LayersTree, type Xattr, sameContent } from '../tree/index.ts';
import { mergeXattrs, type OverlayEntry } from './overlay-tree.ts';

const NO_TIME = { sec: 0, nsec: 0 };

/**
 * The entries as a sink of layers takes them, with the choices of `diffLayer`: what is no different from the layers below is left out. A file is open while its entry is the current one; asking for the next
 * checks that it did not change meanwhile.
 * @param base the layers below
 * @param learn whether the trees that contents come from are told their digests
 */
export function* toLayerEntries(
  entries: readonly OverlayEntry[],
  base: LayersTree,
  learn: boolean,
): Generator<LayerEntry, void, void> {
  for (let index = 0; index < entries.length; index++) {
    const entry = entries[index] as OverlayEntry;
    const { content, type, path } = entry;
    if (type === 'socket') continue;
    if (path !== '' && type === 'directory' && isUnchangedDirectory(entries, index, base)) continue;
    if (content === undefined || content instanceof Uint8Array) {
      const same =
        type !== 'hardlink' && type !== 'directory' && isUnchanged(entry, content, entry.attributes.xattrs, base);
      if (!same) yield plainEntry(entry, type === 'whiteout' ? 'file' : type, content);
      continue;
    }
    const fd = content.open();
    try {
      const own = content.xattrs(fd);
      const xattrs = mergeXattrs(own, entry.attributes.xattrs);
      const onDigest = learn ? (digest: Digest): void => content.learn?.(digest, own) : undefined;
      if (!isUnchanged(entry, fd, xattrs, base))
        yield plainEntry(entry, 'file', onDigest ? { fd, onDigest } : { fd }, xattrs);
    } finally {
      content.close(fd);
    }
  }
}

function plainEntry(
  entry: OverlayEntry,
  type: EntryType,
  content: ContentSource | undefined,
  xattrs: readonly Xattr[] = entry.attributes.xattrs,
): LayerEntry {
  const { mode, uid, gid, mtimeNs } = entry.attributes;
  return {
    path: entry.path,
    type,
    mode,
    uid,
    gid,
    size: entry.size,
    mtime: entry.type === 'whiteout' ? NO_TIME : splitTime(mtimeNs),
    linkPath: entry.linkname,
    content,
    xattrs: xattrs.length > 0 ? new Map(xattrs.map(({ name, value }) => [name, Buffer.from(value)])) : undefined,
  };
}

/** Whole seconds, rounded down, and the nanoseconds after them. */
function splitTime(ns: bigint): { readonly sec: number; readonly nsec: number } {
  const nsec = Number(ns % SECOND);
  const sec = Number(ns / SECOND);
  return nsec < 0 ? { sec: sec - 1, nsec: nsec + 1e9 } : { sec, nsec };
}

const SECOND = 1_000_000_000n;

function sameAttributes(entry: OverlayEntry, below: LayerNode): boolean {
  const { mode, uid, gid, mtimeNs } = entry.attributes;
  return mode === below.mode && uid === below.uid && gid === below.gid && mtimeNs === below.mtimeNs;
}

function sameXattrs(a: readonly Xattr[], b: readonly Xattr[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ name, value }, index) => name === b[index]?.name && Buffer.compare(value, b[index].value) === 0)
  );
}

const EMPTY = new Uint8Array();

/** Whether a file is the same as what the layers below have. `content` is read and left at its start. */
function isUnchanged(
  entry: OverlayEntry,
  content: number | Uint8Array | undefined,
  xattrs: readonly Xattr[],
  base: LayersTree,
): boolean {
  const { replaced } = entry;
  if (!replaced || !sameAttributes(entry, replaced) || entry.size !== replaced.size) return false;
  if (entry.type === 'symlink') return entry.linkname === replaced.linkname;
  const fd = entry.type === 'file' ? base.open(base.root, '', replaced) : undefined;
  if (fd === undefined) return sameXattrs(xattrs, base.xattrs(base.root, '', replaced));
  try {
    return sameXattrs(xattrs, base.openXattrs(fd)) && sameContent(content ?? EMPTY, fd);
  } finally {
    base.close(fd);
  }
}

/** A directory that is as below, with nothing changed in it. */
function isUnchangedDirectory(entries: readonly OverlayEntry[], index: number, base: LayersTree): boolean {
  const entry = entries[index] as OverlayEntry;
  const { replaced, path } = entry;
  if (!replaced || !sameAttributes(entry, replaced)) return false;
  if (!sameXattrs(entry.attributes.xattrs, base.xattrs(base.root, '', replaced))) return false;
  const prefix = `${path}/`;
  // Entries below follow, though not at once: "a-b" sorts before "a/b".
  for (let at = index + 1; at < entries.length; at++) {
    const other = entries[at] as OverlayEntry;
    if (!other.path.startsWith(path)) return true;
    if (other.path.startsWith(prefix) && !isUnchangedEntry(entries, at, base)) return false;
  }
  return true;
}

function isUnchangedEntry(entries: readonly OverlayEntry[], index: number, base: LayersTree): boolean {
  const entry = entries[index] as OverlayEntry;
  const { content, type } = entry;
  if (type === 'whiteout' || type === 'hardlink') return false;
  if (type === 'directory') return isUnchangedDirectory(entries, index, base);
  if (content === undefined || content instanceof Uint8Array) {
    return isUnchanged(entry, content, entry.attributes.xattrs, base);
  }
  const fd = content.open();
  try {
    return isUnchanged(entry, fd, mergeXattrs(content.xattrs(fd), entry.attributes.xattrs), base);
  } finally {
    content.close(fd);
  }
}
