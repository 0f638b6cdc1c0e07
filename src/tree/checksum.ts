import { createHash, type Hash } from 'node:crypto';
import { canonicalDigest, type Digest, hasWildcards, sha256, TsbuildError } from '../util/index.ts';
import { type ByteString, toByteString, toText } from './bytes.ts';
import type { ReadableTree, TreeNode } from './node.ts';
import { resolvePath, splitPath } from './resolve.ts';
import { cleanNames, PathFilter, resolveWildcards, walkTree } from './select.ts';

/** What an operation reads from a tree. The fields are those of a copy action. */
export interface Selector {
  readonly path: string;
  readonly followLinks: boolean;
  readonly wildcard: boolean;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** Of a directory only the contents are read, its own mode and owner do not count. */
  readonly contents: boolean;
  /** Of the paths that `include` lets through, each of these must be the beginning of one. */
  readonly required: readonly string[];
}

/** A tree whose files have digests. */
export interface HashedTree<D> extends ReadableTree<D> {
  /** Identity of a file's content and extended attributes. */
  contentDigest(dir: D, name: ByteString, node: TreeNode): Digest;
}

const VERSION = 'tsbuild.checksum.v1';

/**
 * Digest over everything that a copy of the selected paths can observe: names, types, modes, owners, sizes, link targets,
 * extended attributes, contents, and which names are the same file. Times, inodes and the order on disk do not count.
 * Equal for the same files in a context (owners 0:0) and in a layer stack.
 * @param label names the tree in errors
 * @throws TsbuildError `TSB_NOT_FOUND` with BuildKit's text when a path that is no wildcard is missing
 */
export function checksumTree<D>(tree: HashedTree<D>, selectors: readonly Selector[], label: string): Digest {
  const digests = selectors.map((selector) => checksumOne(tree, selector, label));
  return digests.length === 1 ? (digests[0] as Digest) : canonicalDigest('tsbuild.checksums.v1', digests);
}

/** The digest that identifies which paths are read, whatever is in them: BuildKit's selector of an input. */
export function selectorDigest(selectors: readonly Selector[]): Digest {
  return canonicalDigest(
    'tsbuild.selector.v1',
    selectors.map((selector) => ({ ...selector })),
  );
}

function checksumOne<D>(tree: HashedTree<D>, selector: Selector, label: string): Digest {
  const path = toByteString(selector.path);
  const wildcard = selector.wildcard && cleanNames(path).some(hasWildcards);
  const matches = wildcard ? resolveWildcards(tree, path, selector.followLinks) : [cleanNames(path).join('/')];
  if (matches.length === 0) return sha256('');
  const filter = PathFilter.of(selector.include, selector.exclude);
  const stream = new RecordStream();
  const included: ByteString[] = [];
  for (const match of matches) {
    const located = resolvePath(tree, match, { followLast: selector.followLinks });
    try {
      const { node, self } = located;
      if (!node) throw notFound(label, match);
      const name = splitPath(match).at(-1) ?? '';
      if (self === undefined) {
        stream.record(name, node, digestOf(tree, located.parent, located.name, node));
        continue;
      }
      if (!selector.contents) stream.record(name, node, digestOf(tree, self, '', node));
      walkTree(tree, self, filter, (visited) => {
        if (selector.required.length > 0) included.push(match === '' ? visited.path : `${match}/${visited.path}`);
        stream.record(visited.path, visited.node, digestOf(tree, visited.dir, visited.name, visited.node));
      });
      stream.end();
    } finally {
      located.release();
    }
  }
  for (const required of selector.required) {
    const wanted = cleanNames(toByteString(required)).join('/');
    if (!included.some((one) => one.startsWith(wanted))) throw notFound(label, wanted);
  }
  return stream.digest();
}

function digestOf<D>(tree: HashedTree<D>, dir: D, name: ByteString, node: TreeNode): string {
  return node.type === 'file' ? tree.contentDigest(dir, name, node).slice(7) : '';
}

function notFound(label: string, path: ByteString): TsbuildError {
  return new TsbuildError(
    'TSB_NOT_FOUND',
    `failed to calculate checksum of ref ${label}: "/${toText(path)}": not found`,
    {
      hint: 'check the path, and that .dockerignore does not exclude it',
    },
  );
}

/** Hashes records of a fixed, length-prefixed form, in large pieces. */
class RecordStream {
  readonly #hash: Hash = createHash('sha256').update(VERSION);
  #pending = '';
  /** First path of each file with several names, within one match. */
  #links = new Map<string, ByteString>();

  record(path: ByteString, node: TreeNode, digest: string): void {
    let link = '';
    if (node.hardlink !== undefined) {
      const first = this.#links.get(node.hardlink);
      if (first === undefined) this.#links.set(node.hardlink, path);
      else link = `=${first}`;
    }
    const device = node.device ? `${node.device.major}.${node.device.minor}` : '';
    this.#pending += `${path.length}:${path}${node.type},${node.mode},${node.uid},${node.gid},${node.size},${device};`;
    this.#pending += `${node.linkname.length}:${node.linkname}${link.length}:${link}${digest};`;
    if (this.#pending.length > 65_536) this.#flush();
  }

  /** Ends the entries of one match. */
  end(): void {
    this.#pending += '.';
    this.#links = new Map();
  }

  digest(): Digest {
    this.#flush();
    return `sha256:${this.#hash.digest('hex')}`;
  }

  #flush(): void {
    this.#hash.update(this.#pending, 'latin1');
    this.#pending = '';
  }
}
