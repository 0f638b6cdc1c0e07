import type { ContentSource, EntryType, LayerEntry } from '../layer/index.ts';
import type { Digest } from '../util/index.ts';
import { type ByteString, type ComparedFile, isUnchanged, toTimespec, type Xattr } from '../tree/index.ts';
import { mergeXattrs } from './overlay-leaf.ts';
import type { OverlayEntry } from './overlay-tree.ts';

const NO_TIME = { sec: 0, nsec: 0 };

/**
 * The entries as a sink of layers takes them, with the choices of `diffLayer`: what is no different from the layers below is left out.
 * A file is open while its entry is the current one; asking for the next checks that it did not change meanwhile.
 * @param learn whether the trees that contents come from are told their digests
 */
export function* toLayerEntries(entries: readonly OverlayEntry[], learn: boolean): Generator<LayerEntry, void, void> {
  const below = new Below(entries);
  for (let index = 0; index < entries.length; index++) {
    const entry = entries[index] as OverlayEntry;
    const { content, type, path } = entry;
    if (type === 'socket') continue;
    if (content === undefined || content instanceof Uint8Array) {
      if (path === '' || !below.has(index, content, entry.attributes.xattrs))
        yield plainEntry(entry, type === 'whiteout' ? 'file' : type, content);
      continue;
    }
    const fd = content.open();
    try {
      const own = content.xattrs(fd);
      const xattrs = mergeXattrs(own, entry.attributes.xattrs);
      const onDigest = learn ? (digest: Digest): void => content.learn?.(digest, own) : undefined;
      if (!below.has(index, fd, xattrs)) yield plainEntry(entry, 'file', onDigest ? { fd, onDigest } : { fd }, xattrs);
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
    mtime: entry.type === 'whiteout' ? NO_TIME : toTimespec(mtimeNs),
    linkPath: entry.linkname,
    content,
    xattrs: xattrs.length > 0 ? new Map(xattrs.map(({ name, value }) => [name, Buffer.from(value)])) : undefined,
  };
}

const EMPTY = new Uint8Array();

/** Which entries are the same as what the layers below have. Each is compared once, however deep it lies in directories that are. */
class Below {
  readonly #entries: readonly OverlayEntry[];
  readonly #same = new Map<number, boolean>();

  constructor(entries: readonly OverlayEntry[]) {
    this.#entries = entries;
  }

  /**
   * Of a directory, whether it is the same with all that is in it.
   * @param content of files; it is read and left at its start
   */
  has(index: number, content: number | Uint8Array | undefined, xattrs: readonly Xattr[]): boolean {
    const known = this.#same.get(index);
    if (known !== undefined) return known;
    const same = this.#compare(index, content, xattrs);
    this.#same.set(index, same);
    return same;
  }

  #compare(index: number, content: number | Uint8Array | undefined, xattrs: readonly Xattr[]): boolean {
    const { replaced, type, attributes, size, linkname, path } = this.#entries[index] as OverlayEntry;
    if (!replaced || type === 'whiteout' || type === 'hardlink') return false;
    const ours: ComparedFile = {
      node: { ...attributes, type, size, linkname },
      look: (use) => use(xattrs, content ?? EMPTY),
    };
    return isUnchanged(ours, replaced) && (type !== 'directory' || this.#hasAllOf(index, path));
  }

  /** Whether everything in a directory is as below. */
  #hasAllOf(index: number, path: ByteString): boolean {
    const prefix = `${path}/`;
    // Entries below follow, though not at once: "a-b" sorts before "a/b".
    for (let at = index + 1; at < this.#entries.length; at++) {
      const other = this.#entries[at] as OverlayEntry;
      if (!other.path.startsWith(path)) return true;
      if (other.path.startsWith(prefix) && !this.#hasClosed(at)) return false;
    }
    return true;
  }

  /** The same for an entry whose content is not open. */
  #hasClosed(index: number): boolean {
    const { content, attributes } = this.#entries[index] as OverlayEntry;
    if (content === undefined || content instanceof Uint8Array) return this.has(index, content, attributes.xattrs);
    const fd = content.open();
    try {
      return this.has(index, fd, mergeXattrs(content.xattrs(fd), attributes.xattrs));
    } finally {
      content.close(fd);
    }
  }
}
