import { type ContextTree, readFull, resolvePath, toByteString, toText } from '../../tree/index.ts';
import { TsbuildError } from '../../util/index.ts';

/** Larger files are no Dockerfiles and no ignore files. */
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * Reads one regular file of a host directory. Symlinks are resolved as if the directory were the root, so that a link in a
 * hostile context cannot lead to a file of the user (CVE-2022-4122 class).
 * @returns undefined when the file does not exist
 * @throws TsbuildError `TSB_CONTEXT` when it is not a regular file or too large; `TSB_PERMISSION`
 */
export function readLocalFile(tree: ContextTree, path: string, limit?: number): Uint8Array | undefined {
  const dir = toText(tree.rootPath);
  const located = resolvePath(tree, toByteString(path), { followLast: true });
  try {
    const { node, parent, name } = located;
    if (!node) return undefined;
    if (node.type !== 'file')
      throw new TsbuildError(
        'TSB_CONTEXT',
        `Cannot read "${path}" in "${dir}": it is not a regular file but a ${node.type}`,
      );
    if (node.size > MAX_BYTES && limit === undefined) {
      throw new TsbuildError(
        'TSB_CONTEXT',
        `Cannot read "${path}" in "${dir}": it has ${node.size} bytes, more than the limit of ${MAX_BYTES}`,
      );
    }
    const fd = tree.open(parent, name, node);
    try {
      const buffer = Buffer.alloc(Math.min(node.size, limit ?? MAX_BYTES));
      return buffer.subarray(0, readFull(fd, buffer, 0));
    } finally {
      tree.close(fd, parent, name, node);
    }
  } finally {
    located.release();
  }
}
