import type { FileContent, NodeAttributes, NodeType, ByteString, TreeNode, Xattr } from '../tree/index.ts';

/** Attributes with a time. */
export type FullAttributes = NodeAttributes & { readonly mtimeNs: bigint };

/** A file in memory; two names of one file share the object. */
export interface Leaf {
  readonly type: Exclude<NodeType, 'directory'>;
  attributes: FullAttributes;
  content: FileContent | Uint8Array | undefined;
  readonly linkname: ByteString;
  /** Set when the file got a second name. */
  id: string | undefined;
  /** The path of its first entry. */
  written: ByteString | undefined;
}

/** Of whiteouts. */
export const none: FullAttributes = { mode: 0, uid: 0, gid: 0, mtimeNs: 0n, xattrs: [] };

/**
 * Stands for files that were taken and that nothing will be asked of any more but whether they are there. There may be very many: to keep
 * each of them to the end would take 20 MB for 100,000.
 */
export const TAKEN: Leaf = Object.freeze({
  type: 'file',
  attributes: none,
  content: undefined,
  linkname: '',
  id: undefined,
  written: undefined,
});

/** Whether a file will get no further name. */
export function isComplete({ content, id }: Leaf): boolean {
  return id === undefined && content !== undefined && !(content instanceof Uint8Array) && content.hasMoreNames !== true;
}

/** Those that were given, over those that come with the content. */
export function leafXattrs({ attributes, content }: Leaf): readonly Xattr[] {
  if (content === undefined || content instanceof Uint8Array) return attributes.xattrs;
  const fd = content.open();
  try {
    return mergeXattrs(content.xattrs(fd), attributes.xattrs);
  } finally {
    content.close(fd);
  }
}

/** What a tree tells of a file in memory. */
export function leafNode(leaf: Leaf): TreeNode {
  const { attributes, content, type, linkname, id } = leaf;
  const size = content instanceof Uint8Array ? content.length : (content?.size ?? 0);
  const { mode, uid, gid, mtimeNs } = attributes;
  const node = { type, mode, uid, gid, mtimeNs, size, linkname };
  return id === undefined ? node : { ...node, hardlink: id };
}

/** The attributes of what is there, without those that are extended. */
export function attributesOf(node: TreeNode): Omit<FullAttributes, 'xattrs'> {
  return { mode: node.mode, uid: node.uid, gid: node.gid, mtimeNs: node.mtimeNs };
}

/** Attributes after a change. */
export function merge(kept: FullAttributes, changes: Partial<NodeAttributes>): FullAttributes {
  return {
    mode: changes.mode ?? kept.mode,
    uid: changes.uid ?? kept.uid,
    gid: changes.gid ?? kept.gid,
    mtimeNs: changes.mtimeNs ?? kept.mtimeNs,
    xattrs: changes.xattrs && changes.xattrs.length > 0 ? mergeXattrs(kept.xattrs, changes.xattrs) : kept.xattrs,
  };
}

/** Attributes by name, the later list wins. */
export function mergeXattrs(kept: readonly Xattr[], changes: readonly Xattr[]): readonly Xattr[] {
  if (kept.length === 0 || changes.length === 0) return kept.length === 0 ? changes : kept;
  const all = new Map([...kept, ...changes].map((xattr) => [xattr.name, xattr]));
  return [...all.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
