import { readFileSync } from 'node:fs';
import { decodeTree, type PackedTree, packTree, unpackTree } from '../chunks/index.ts';
import { AT_FDCWD, fchownat } from '../sys/index.ts';
import { makeDirectory } from '../util/index.ts';
import type { HandlerContext } from './handler-context.ts';
import type { PackMountParams, UnpackMountParams } from './mount-methods.ts';

/** Reads a cache mount and packs what is not there yet. */
export function packMount(params: PackMountParams, context: HandlerContext): Promise<PackedTree> {
  const { base, limits, ...rest } = params;
  const { idShift, idCount } = context.config.plan;
  const tree = base && decodeTree(readFileSync(base.path), base.what, { ...limits, bytes: Number.MAX_SAFE_INTEGER });
  return packTree({ ...rest, limits, idShift, idCount, signal: context.signal, ...(tree && { base: tree }) });
}

/** Writes a cache mount from elsewhere. Nothing of it is trusted: see `decodeTree`. */
export async function unpackMount(
  params: UnpackMountParams,
  context: HandlerContext,
): Promise<{ readonly bytes: number; readonly inodes: number }> {
  const { tree, packs, dir, memory, work, limits, now } = params;
  const { idShift, idCount } = context.config.plan;
  const { signal } = context;
  const decoded = decodeTree(readFileSync(tree.path), tree.what, limits);
  makeDirectory(dir, 0o755);
  fchownat(AT_FDCWD, dir, idShift, idShift);
  const places = { packs: new Map(packs), dir, memory, work };
  return unpackTree({ ...places, tree: decoded, idShift, idCount, now, signal, what: tree.what });
}
