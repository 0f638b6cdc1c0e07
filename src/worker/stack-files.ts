import { closeSync, fstatSync, readSync } from 'node:fs';
import {
  LayersTree,
  resolvePath,
  toByteString,
  toText,
  type LayersDir,
  type Located,
  type TreeNode,
} from '../tree/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { HandlerContext } from './handler-context.ts';
import type { NamedStat, PathStat, ReadDirectoryParams, ReadFileParams, StatPathParams } from './protocol.ts';

/** What is at a path of a layer stack; undefined when nothing is. Symbolic links are resolved within the stack. */
export function statPath(params: StatPathParams, context: HandlerContext): PathStat | undefined {
  return locate(params, context, ({ node }) => node && toStat(node));
}

/** What is in a directory of a layer stack, in one answer, sorted by the bytes of names; undefined when it is not a directory. */
export function readDirectory(params: ReadDirectoryParams, context: HandlerContext): readonly NamedStat[] | undefined {
  return locate(params, context, ({ self }, tree) => {
    if (!self) return undefined;
    const names = tree.list(self).slice(0, params.maxNames);
    return names.flatMap((name) => {
      const node = tree.lookup(self, name);
      return node === undefined ? [] : [{ name: toText(name), ...toStat(node) }];
    });
  });
}

function toStat(node: TreeNode): PathStat {
  const type = node.type === 'file' || node.type === 'directory' || node.type === 'symlink' ? node.type : 'other';
  const { mode, uid, gid, size, mtimeNs } = node;
  const link = node.type === 'symlink' ? { link: toText(node.linkname) } : {};
  return { type, mode, uid, gid, size, mtimeNs, ...link };
}

/**
 * Reads one regular file of a layer stack.
 * @throws TsbuildError `TSB_IMAGE` when it is larger than allowed or no regular file
 */
export function readFile(params: ReadFileParams, context: HandlerContext): Uint8Array | undefined {
  return locate(params, context, (located, tree) => {
    const { node, parent, name } = located;
    if (!node) return undefined;
    const fail = (why: string): never => {
      throw new TsbuildError('TSB_IMAGE', `Cannot read "${params.path}" of the image: ${why}`);
    };
    if (node.type !== 'file') return fail(`it is a ${node.type}`);
    const { limit, maxBytes } = params;
    if (limit === undefined && node.size > maxBytes) return fail(`it is larger than ${maxBytes} bytes`);
    const fd = tree.open(parent, name);
    try {
      return readAll(fd, limit ?? maxBytes);
    } finally {
      closeSync(fd);
    }
  });
}

function locate<T>(
  params: StatPathParams,
  context: HandlerContext,
  use: (located: Located<LayersDir>, tree: LayersTree) => T,
): T {
  using tree = new LayersTree(params.layers, { idShift: context.config.plan.idShift });
  const located = resolvePath(tree, toByteString(params.path), { followLast: params.followLast ?? true });
  try {
    return use(located, tree);
  } finally {
    located.release();
  }
}

function readAll(fd: number, limit: number): Uint8Array {
  const data = Buffer.alloc(Math.min(fstatSync(fd).size, limit));
  let length = 0;
  while (length < data.length) {
    const got = readSync(fd, data, length, data.length - length, null);
    if (got === 0) break;
    length += got;
  }
  return data.subarray(0, length);
}
