import { canonicalDigest, type Digest, Hasher, TsbuildError } from '../util/index.ts';
import { hasWildcards } from '../patterns/index.ts';
import { type ByteString, toByteString, toText } from './bytes.ts';
import { ListingBuilder, type TreeListing } from './listing.ts';
import { missingPathHint } from './near-path.ts';
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
  /**
   * Told of entries whose files' digests will be asked for next, of a tree that has a faster way for many. Directories of such a tree
   * may be used after they were left.
   */
  hashAhead?(entries: readonly SelectedEntry<D>[]): void;
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
  return combine(
    selectors.map((selector) => {
      const stream = new RecordStream(tree);
      return visitSelected(tree, selector, label, stream) ? stream.digest() : NOTHING;
    }),
  );
}

/**
 * The same, with a list of what was read, made in the same pass.
 * @see checksumTree
 */
export function checksumAndList<D>(
  tree: HashedTree<D>,
  selectors: readonly Selector[],
  label: string,
): { readonly digest: Digest; readonly listing: TreeListing } {
  const listing = new ListingBuilder();
  const digests = selectors.map((selector) => {
    const stream = new RecordStream(tree, listing);
    return visitSelected(tree, selector, label, stream) ? stream.digest() : NOTHING;
  });
  return { digest: combine(digests), listing: listing.finish() };
}

/** Only the list, for a tree that knows the digests of its files already. */
export function listTree<D>(tree: HashedTree<D>, selectors: readonly Selector[], label: string): TreeListing {
  const listing = new ListingBuilder();
  const visitor: SelectionVisitor<D> = {
    begin: (match, isDirectory) => listing.begin(match, isDirectory),
    entry: ({ path, isWhole, node, dir, name }) => {
      const digest = digestOf(tree, dir, name, node);
      if (isWhole) listing.self(node, digest);
      else listing.below(path, name, node, digest);
    },
    end: () => listing.end(),
  };
  for (const selector of selectors) visitSelected(tree, selector, label, visitor);
  return listing.finish();
}

/** Whether a test holds for anything that a checksum reads; nothing is looked at after the first. Throws as `checksumTree`. */
export function someSelected<D>(
  tree: ReadableTree<D>,
  selectors: readonly Selector[],
  label: string,
  test: (entry: SelectedEntry<D>) => boolean,
): boolean {
  let found = false;
  for (const selector of selectors) {
    visitSelected(tree, selector, label, {
      begin: () => undefined,
      entry: (entry) => (found = test(entry)),
      end: () => undefined,
    });
    if (found) return true;
  }
  return false;
}

/** sha256 of no bytes; in full, so that a build which hashes nothing need not load node:crypto for it. */
const NOTHING: Digest = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

function combine(digests: readonly Digest[]): Digest {
  return digests.length === 1 ? (digests[0] as Digest) : canonicalDigest('tsbuild.checksums.v1', digests);
}

/** The digest that identifies which paths are read, whatever is in them: BuildKit's selector of an input. */
export function selectorDigest(selectors: readonly Selector[]): Digest {
  return canonicalDigest(
    'tsbuild.selector.v1',
    selectors.map((selector) => ({ ...selector })),
  );
}

/** A path that a selector reads; `dir` and `name` are as for `HashedTree.contentDigest`. */
export interface SelectedEntry<D> {
  /** From the selected path; the last name of that for itself, which is `isWhole`. */
  readonly path: ByteString;
  readonly isWhole?: boolean;
  readonly node: TreeNode;
  readonly dir: D;
  readonly name: ByteString;
}

interface SelectionVisitor<D> {
  /** A path that matches, from the tree's root. */
  begin(match: ByteString, isDirectory: boolean): void;
  /** Returns true to end the visits. */
  entry(entry: SelectedEntry<D>): boolean | void;
  /** The entries of one match are over. */
  end(): void;
}

/** @returns whether anything matches */
function visitSelected<D>(
  tree: ReadableTree<D>,
  selector: Selector,
  label: string,
  visitor: SelectionVisitor<D>,
): boolean {
  const path = toByteString(selector.path);
  const wildcard = selector.wildcard && cleanNames(path).some(hasWildcards);
  const matches = wildcard ? resolveWildcards(tree, path, selector.followLinks) : [cleanNames(path).join('/')];
  if (matches.length === 0) return false;
  const filter = PathFilter.of(selector.include, selector.exclude);
  const included: ByteString[] = [];
  for (const match of matches) {
    const located = resolvePath(tree, match, { followLast: selector.followLinks });
    try {
      const { node, self } = located;
      if (!node) throw notFound(tree, label, match);
      const name = splitPath(match).at(-1) ?? '';
      visitor.begin(match, self !== undefined);
      if (self === undefined) {
        if (visitor.entry({ path: name, isWhole: true, node, dir: located.parent, name: located.name }) === true)
          return true;
        continue;
      }
      if (!selector.contents && visitor.entry({ path: name, isWhole: true, node, dir: self, name: '' }) === true)
        return true;
      const ended = walkTree(tree, self, filter, (visited) => {
        if (selector.required.length > 0) included.push(match === '' ? visited.path : `${match}/${visited.path}`);
        return visitor.entry(visited);
      });
      if (ended) return true;
      visitor.end();
    } finally {
      located.release();
    }
  }
  for (const required of selector.required) {
    const wanted = cleanNames(toByteString(required)).join('/');
    if (!included.some((one) => one.startsWith(wanted))) throw notFound(tree, label, wanted);
  }
  return true;
}

function digestOf<D>(tree: HashedTree<D>, dir: D, name: ByteString, node: TreeNode): string {
  return node.type === 'file' ? tree.contentDigest(dir, name, node).slice(7) : '';
}

function notFound<D>(tree: ReadableTree<D>, label: string, path: ByteString): TsbuildError {
  return new TsbuildError(
    'TSB_NOT_FOUND',
    `failed to calculate checksum of ref ${label}: "/${toText(path)}": not found`,
    {
      hint: missingPathHint(tree, path),
    },
  );
}

/** Entries that are recorded at a time. */
const TOGETHER = 512;

/** Hashes records of a fixed, length-prefixed form, in large pieces. */
class RecordStream<D> implements SelectionVisitor<D> {
  readonly #tree: HashedTree<D>;
  readonly #hash = new Hasher().update(VERSION);
  #pending = '';
  /** First path of each file with several names, within one match. */
  #links = new Map<string, ByteString>();

  readonly #listing: ListingBuilder | undefined;
  /** Entries that wait for others, so that their files are hashed together. */
  #waiting: SelectedEntry<D>[] = [];

  constructor(tree: HashedTree<D>, listing?: ListingBuilder) {
    this.#tree = tree;
    this.#listing = listing;
  }

  begin(match: ByteString, isDirectory: boolean): void {
    if (this.#listing === undefined) return;
    this.#recordWaiting();
    this.#listing.begin(match, isDirectory);
  }

  entry(entry: SelectedEntry<D>): void {
    if (this.#tree.hashAhead === undefined) return this.#record(entry);
    this.#waiting.push(entry);
    if (this.#waiting.length === TOGETHER) this.#recordWaiting();
  }

  #recordWaiting(): void {
    const entries = this.#waiting;
    this.#waiting = [];
    this.#tree.hashAhead?.(entries);
    for (const entry of entries) this.#record(entry);
  }

  #record({ path, isWhole, node, dir, name }: SelectedEntry<D>): void {
    const digest = digestOf(this.#tree, dir, name, node);
    if (isWhole) this.#listing?.self(node, digest);
    else this.#listing?.below(path, name, node, digest);
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
    this.#recordWaiting();
    this.#pending += '.';
    this.#links = new Map();
  }

  digest(): Digest {
    this.#recordWaiting();
    this.#flush();
    return this.#hash.digest();
  }

  #flush(): void {
    this.#hash.update(Buffer.from(this.#pending, 'latin1'));
    this.#pending = '';
  }
}
