/**
 * File trees: the local build context, stacks of layer directories, and mounted roots, behind one interface; content
 * checksums over them; selection by wildcards and patterns. Names and paths are byte strings (see bytes.ts), paths are
 * relative to the tree's root without a leading slash, `''` is the root.
 */
export { type ByteString, compareBytes, fromBytes, joinPath, toByteString, toFsPath, toText } from './bytes.ts';
export {
  checksumAndList,
  checksumTree,
  type HashedTree,
  listTree,
  selectorDigest,
  type Selector,
  someSelected,
} from './checksum.ts';
export { readFull } from './content.ts';
export { encodeContext, encodeDigests, type EncodedContext, takeDigests, decodeContext } from './context-wire.ts';
export {
  type ContextDir,
  type ContextModes,
  type ContextOptions,
  ContextTree,
  type ContextIgnore,
  type DigestCache,
} from './context-tree.ts';
export type { ContextNode } from './context-node.ts';
export { type FsDir, FsTree, type FsTreeOptions } from './fs-tree.ts';
export {
  type HostStat,
  isOldEnough,
  lookUp,
  sameStat,
  splitDevice,
  type StatIdentity,
  toHostStat,
} from './host-stat.ts';
export { type LayersDir, type LayersOptions, LayersTree } from './layers-tree.ts';
export {
  closeMerged,
  findMerged,
  isDir,
  isOpaque,
  isWhiteout,
  makeWhiteout,
  type LayerName,
  listDir,
  listLayer,
  listMerged,
  type MergedDir,
  type MergedName,
  OPAQUE,
  openDirAt,
  openMerged,
  openMergedRoot,
  shownLayers,
} from './merged-dir.ts';
export type { FileContent, NodeAttributes, NodeType, ReadableTree, TreeNode, WritableTree, Xattr } from './node.ts';
export { type ListedDirectory, type ListedNode, parseListedNode, type TreeListing } from './listing.ts';
export { missingPathHint } from './near-path.ts';
export { type ComparedFile, fileAt, fileOfTree, isUnchanged } from './unchanged.ts';
export { decodeSummary, encodeSummary, MAX_TREE_SUMMARY } from './summary-wire.ts';
export { isSummaryDir, type SummaryDir, type SummaryLeaf, SummaryTree } from './summary-tree.ts';
export { getState, putState, stateRows, stateSum } from './state-sum.ts';
export { type Sighting, sightings } from './sightings.ts';
export { type Located, resolvePath, splitPath } from './resolve.ts';
export {
  cleanNames,
  type FilterState,
  PathFilter,
  type FilterResult,
  resolveWildcards,
  type Visit,
  walkTree,
} from './select.ts';
export { toTimespec } from './timespec.ts';
export { CAPABILITY, isImageXattr, portableCapability, readXattrs, tiedCapability } from './xattrs.ts';
