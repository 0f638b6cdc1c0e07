import { sanitizeLine, TsbuildError } from '../util/index.ts';

/** Files and directories of one image; more are an attack. */
const MAX_NODES = 5_000_000;
/** Bytes of their paths; more are an attack, too. */
const MAX_PATHS = 512 * 1024 ** 2;
/** Directories below each other, as when layers are unpacked. */
const MAX_DEPTH = 1000;

/** A path of the image as it is after the layers so far. */
export interface TreeNode {
  /** Bytes of a file's content. */
  size: number;
  /** The layer that it is from. */
  layer: number;
  /** Undefined for what is no directory. */
  children: Map<string, TreeNode> | undefined;
}

/** Content that later layers cover or delete: it is in the image, and nobody sees it. */
export interface Loss {
  readonly path: string;
  readonly size: number;
  /** The layer that has the content. */
  readonly from: number;
}

/**
 * The files of an image while its layers are laid over each other. Names are those of the archive with `.`, `..` and slashes
 * taken out of them: this only counts, and writes nothing anywhere. Links are not followed, as overlay does not either.
 */
export class LayerTree {
  readonly root: TreeNode = { size: 0, layer: 0, children: new Map() };
  #count = 0;
  #paths = 0;

  /**
   * Puts something at a path.
   * @param size undefined for a directory
   * @returns what it covers: nothing, the file, or all files of the directory that was there
   * @throws TsbuildError `TSB_IMAGE` when paths are longer, or more, than any image's
   */
  put(path: string, size: number | undefined, layer: number): readonly Loss[] {
    const parts = partsOf(path);
    this.#paths += path.length;
    if (this.#paths > MAX_PATHS) throw refusal(`their paths have more than ${MAX_PATHS} bytes`);
    if (parts.length > MAX_DEPTH) {
      const shown = JSON.stringify(sanitizeLine(path, 300));
      throw refusal(`${shown} is more than ${MAX_DEPTH} directories deep`);
    }
    const name = parts.pop();
    if (name === undefined) return [];
    const lost: Loss[] = [];
    let at = this.root;
    let prefix = '';
    for (const part of parts) {
      prefix = `${prefix}/${part}`;
      at = this.#directory(at, part, layer, prefix, lost);
    }
    const known = at.children?.get(name);
    if (size === undefined) {
      this.#directory(at, name, layer, `${prefix}/${name}`, lost);
      return lost;
    }
    if (known !== undefined) collect(known, `${prefix}/${name}`, lost);
    this.#set(at, name, { size, layer, children: undefined });
    return lost;
  }

  /** Deletes a path. @returns its files of lower layers */
  remove(path: string, layer: number): readonly Loss[] {
    const parts = partsOf(path);
    const name = parts.pop();
    const parent = name === undefined ? undefined : this.#find(parts);
    const known = name === undefined ? undefined : parent?.children?.get(name);
    if (known === undefined || name === undefined) return [];
    const lost: Loss[] = [];
    collect(known, `/${[...parts, name].join('/')}`, lost);
    const lower = lost.filter(({ from }) => from < layer);
    // What the layer itself has stays, wherever in the archive the mark is.
    if (lower.length === lost.length) parent?.children?.delete(name);
    else dropLower(known, layer);
    return lower;
  }

  /** Deletes what lower layers have in a directory. @returns its files */
  empty(path: string, layer: number): readonly Loss[] {
    const directory = this.#find(partsOf(path));
    if (directory?.children === undefined) return [];
    const lost: Loss[] = [];
    collect(directory, `/${partsOf(path).join('/')}`.replace(/\/$/, ''), lost);
    dropLower(directory, layer);
    return lost.filter(({ from }) => from < layer);
  }

  #find(parts: readonly string[]): TreeNode | undefined {
    let at: TreeNode | undefined = this.root;
    for (const part of parts) at = at?.children?.get(part);
    return at;
  }

  #directory(parent: TreeNode, name: string, layer: number, path: string, lost: Loss[]): TreeNode {
    const known = parent.children?.get(name);
    if (known?.children !== undefined) return known;
    if (known !== undefined) collect(known, path, lost);
    const made: TreeNode = { size: 0, layer, children: new Map() };
    this.#set(parent, name, made);
    return made;
  }

  #set(parent: TreeNode, name: string, node: TreeNode): void {
    if (++this.#count > MAX_NODES) throw refusal(`they have more than ${MAX_NODES} files`);
    parent.children?.set(name, node);
  }
}

function refusal(why: string): TsbuildError {
  return new TsbuildError('TSB_IMAGE', `Cannot look into the layers: ${why}`);
}

/** The parts of an archive's path. */
export function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.' && part !== '..');
}

function collect(node: TreeNode, path: string, lost: Loss[]): void {
  // Deep trees must not exhaust the stack.
  const open: [TreeNode, string][] = [[node, path]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [at, name] = next;
    if (at.children === undefined) lost.push({ path: name, size: at.size, from: at.layer });
    else for (const [child, below] of at.children) open.push([below, `${name}/${child}`]);
  }
}

/** Takes away all files of lower layers. Directories stay: they hold nothing that counts. */
function dropLower(node: TreeNode, layer: number): void {
  const open = [node];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const [name, child] of at.children ?? []) {
      if (child.children !== undefined) open.push(child);
      else if (child.layer < layer) at.children?.delete(name);
    }
  }
}
