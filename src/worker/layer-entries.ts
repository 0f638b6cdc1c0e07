import type { OverlayEntry } from '../fileop/index.ts';
import type { LayerEntry } from '../layer/index.ts';
import { TsbuildError } from '../util/index.ts';

const NANOSECONDS = 1_000_000_000n;

/**
 * Entries of a file op as entries of a layer tar. A file is open only while it is written; closing it checks that it did not
 * change.
 */
export function* overlayLayerEntries(entries: Iterable<OverlayEntry>): Generator<LayerEntry> {
  for (const entry of entries) {
    const { content } = entry;
    if (entry.type === 'socket' || unchangedDirectory(entry)) continue;
    const base = baseEntry(entry);
    if (entry.type !== 'file' || content === undefined || content instanceof Uint8Array || entry.size === 0) {
      yield content instanceof Uint8Array ? { ...base, content } : base;
      continue;
    }
    const fd = content.open();
    try {
      yield { ...base, content: { fd } };
    } finally {
      content.close(fd);
    }
  }
}

function baseEntry(entry: OverlayEntry): LayerEntry {
  const { attributes } = entry;
  return {
    path: entry.path === '' ? './' : entry.path,
    type: tarType(entry),
    mode: entry.type === 'whiteout' ? 0 : attributes.mode,
    uid: attributes.uid,
    gid: attributes.gid,
    mtime: { sec: entry.type === 'whiteout' ? 0 : Number(attributes.mtimeNs / NANOSECONDS) },
    ...(entry.type === 'file' ? { size: entry.size } : {}),
    ...(entry.linkname === '' ? {} : { linkPath: entry.linkname }),
    ...(attributes.xattrs.length === 0
      ? {}
      : { xattrs: new Map(attributes.xattrs.map(({ name, value }) => [name, Buffer.from(value)])) }),
  };
}

function tarType(entry: OverlayEntry): LayerEntry['type'] {
  switch (entry.type) {
    case 'whiteout':
      return 'file';
    case 'directory':
      return 'dir';
    case 'file':
    case 'hardlink':
    case 'symlink':
    case 'fifo':
      return entry.type;
    default:
      throw new TsbuildError('TSB_INTERNAL', `Cannot write "${entry.path}" to a layer: it is a ${entry.type}`);
  }
}

/** A directory that was only walked through looks as it did: it is not part of the layer. */
function unchangedDirectory({ type, attributes, replaced }: OverlayEntry): boolean {
  return (
    type === 'directory' &&
    replaced !== undefined &&
    replaced.mode === attributes.mode &&
    replaced.uid === attributes.uid &&
    replaced.gid === attributes.gid &&
    replaced.mtimeNs === attributes.mtimeNs
  );
}
