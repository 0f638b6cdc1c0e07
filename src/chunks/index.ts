/**
 * Directories as chunks: content that is cut where it says itself, named by sha256 and gathered in packs, and a tree that lists names and
 * chunks. For cache mounts that go from machine to machine, of which little changes from build to build.
 */
export { CHUNK_BYTES, cut } from './cut.ts';
export { decodeTree, encodeTree } from './encode-tree.ts';
export { type PackedTree, packTree, type PackTreeOptions } from './pack-tree.ts';
export type { Chunk, ChunkTree, Pack, TreeEntry, TreeLimits } from './tree.ts';
export { unpackTree, type UnpackTreeOptions } from './unpack-tree.ts';
