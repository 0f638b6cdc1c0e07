/** A path with its bytes. */
export interface SizedPath {
  readonly path: string;
  readonly size: number;
}

/** A part that makes its directory say nothing that it does not say itself. */
const NEARLY_ALL = 0.9;

/** How many bytes are below each directory: of one layer, or of several. */
export class DirectorySizes {
  readonly #children = new Map<string, DirectorySizes>();
  #size = 0;

  /** Adds a file. @param directories those that it is in, the topmost first */
  add(directories: readonly string[], size: number): void {
    this.#size += size;
    directories.reduce<DirectorySizes>((above, name) => {
      const below = above.#child(name);
      below.#size += size;
      return below;
    }, this);
  }

  /** Adds what others counted. */
  addAll(other: DirectorySizes): void {
    this.#size += other.#size;
    for (const [name, child] of other.#children) this.#child(name).addAll(child);
  }

  /**
   * The largest directories but the root. Those whose content is nearly all in one below them are left out: `/usr/lib/x` says more than
   * `/usr` and `/usr/lib` of the same size.
   */
  largest(count: number): readonly SizedPath[] {
    const sizes: number[] = [];
    this.#visit((node) => void sizes.push(node.#size));
    // Paths are made of those alone that are shown: all together may be long.
    const least = sizes.toSorted((a, b) => b - a)[count - 1] ?? 0;
    const found: SizedPath[] = [];
    let equal = count - sizes.filter((size) => size > least).length;
    this.#visit((node, path) => {
      if (node.#size > least || (node.#size === least && equal-- > 0)) found.push({ path: path(), size: node.#size });
    });
    return found.toSorted(bySize);
  }

  #child(name: string): DirectorySizes {
    const known = this.#children.get(name);
    if (known !== undefined) return known;
    const made = new DirectorySizes();
    this.#children.set(name, made);
    return made;
  }

  /** Calls for each directory that says something of its own, in the order of names. */
  #visit(call: (node: DirectorySizes, path: () => string) => void, above: string[] = []): void {
    const children = [...this.#children].toSorted(([a], [b]) => (a < b ? -1 : 1));
    const isOneChild = children.some(([, child]) => child.#size >= NEARLY_ALL * this.#size);
    if (above.length > 0 && !isOneChild) call(this, () => `/${above.join('/')}`);
    for (const [name, child] of children) {
      above.push(name);
      child.#visit(call, above);
      above.pop();
    }
  }
}

/** The largest first, and by name among those of one size. */
export const bySize = (a: SizedPath, b: SizedPath): number => b.size - a.size || (a.path < b.path ? -1 : 1);
