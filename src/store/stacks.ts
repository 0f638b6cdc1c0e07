import { hexOf, sha256 } from '../util/index.ts';
import type { Database, Statement } from './database.ts';

/** Names the stack of no layers. It has no row. */
export const EMPTY_STACK = '';

interface Node {
  readonly parent: string;
  readonly layer: string;
}

/**
 * Ordered lists of layers, each as its topmost layer and the list beneath it. A chain of n steps has n lists of n / 2 layers each;
 * so it takes n rows, where naming every layer of every list took n (n + 1) / 2.
 *
 * A stack's id is a hash of what it is. It therefore means the same in every index and process, and what is remembered here stays
 * true whoever removes rows. A row's parent is there as long as the row is.
 */
export class StackTable {
  readonly #db: Database;
  /** By the stack beneath and the layer. */
  readonly #ids = new Map<string, Map<string, string>>();
  readonly #nodes = new Map<string, Node>();
  readonly #whole = new Set<string>();
  readonly #lists = new Map<string, readonly string[]>([[EMPTY_STACK, []]]);
  readonly #select: Statement;
  readonly #insert: Statement;

  constructor(db: Database) {
    this.#db = db;
    this.#select = db.prepare('SELECT parent, layer FROM stacks WHERE id = ?');
    this.#insert = db.prepare('INSERT OR IGNORE INTO stacks (id, parent, layer) VALUES (?, ?, ?)');
  }

  /**
   * The id of a list, bottom first, with its rows made if need be. To be called in the transaction that writes what names it: a
   * stack that nothing names may be removed at any time.
   */
  intern(layers: readonly string[]): string {
    let id = EMPTY_STACK;
    const path: string[] = [];
    for (const layer of layers) {
      id = this.#idOf(id, layer);
      path.push(id);
    }
    // From the top, since all beneath a stack that is there is there too.
    for (let at = path.length - 1; at >= 0; at--) {
      const row = this.#insert.run(path[at] ?? '', path[at - 1] ?? EMPTY_STACK, layers[at] ?? '');
      if (row === 0) break;
    }
    return id;
  }

  /** The layers of a stack, bottom first; undefined when it is not known. */
  layers(id: string): readonly string[] | undefined {
    const above: { readonly id: string; readonly layer: string }[] = [];
    let at = id;
    let known = this.#lists.get(at);
    while (known === undefined) {
      const node = this.#node(at);
      if (!node) return undefined;
      above.push({ id: at, layer: node.layer });
      at = node.parent;
      known = this.#lists.get(at);
    }
    if (above.length === 0) return known;
    const list = [...known, ...above.reverse().map(({ layer }) => layer)];
    this.#lists.set(id, list);
    return list;
  }

  /** Whether a stack and all beneath it are known, without spelling them out. */
  isWhole(id: string): boolean {
    const path: string[] = [];
    for (let at = id; !this.#whole.has(at) && !this.#lists.has(at);) {
      const node = this.#node(at);
      if (!node) return false;
      path.push(at);
      at = node.parent;
    }
    for (const one of path) this.#whole.add(one);
    return true;
  }

  /** Reads all rows at once, for who will ask for most of them. */
  preload(): void {
    for (const [id, node] of this.all())
      if (!this.#nodes.has(id) && stackId(node.parent, node.layer) === id) this.#nodes.set(id, node);
  }

  /** All stacks by id: each one's topmost layer and what is beneath it. For those who look at the whole store at once. */
  all(): ReadonlyMap<string, Node> {
    const rows = this.#db.prepare('SELECT id, parent, layer FROM stacks').all();
    return new Map(
      rows.map((row) => [String(row['id']), { parent: String(row['parent']), layer: String(row['layer']) }]),
    );
  }

  /** How many rows are not what their ids say; with `remove` they are taken out. */
  damaged(remove: boolean): number {
    const ids = [...this.all()].filter(([id, { parent, layer }]) => stackId(parent, layer) !== id).map(([id]) => id);
    if (remove) for (const id of ids) this.#db.prepare('DELETE FROM stacks WHERE id = ?').run(id);
    return ids.length;
  }

  /** Removes those that no layer and no record stands on. */
  removeUnused(): void {
    this.#db.exec(`
      WITH RECURSIVE used (id) AS (
        SELECT parents FROM layers UNION SELECT stack FROM records
        UNION
        SELECT stacks.parent FROM stacks JOIN used ON stacks.id = used.id
      )
      DELETE FROM stacks WHERE id NOT IN (SELECT id FROM used)
    `);
  }

  #idOf(parent: string, layer: string): string {
    let above = this.#ids.get(parent);
    if (above === undefined) this.#ids.set(parent, (above = new Map()));
    let id = above.get(layer);
    if (id === undefined) {
      id = stackId(parent, layer);
      above.set(layer, id);
      this.#nodes.set(id, { parent, layer });
    }
    return id;
  }

  #node(id: string): Node | undefined {
    const known = this.#nodes.get(id);
    if (known) return known;
    const row = this.#select.get(id);
    if (!row) return undefined;
    const node = { parent: String(row['parent']), layer: String(row['layer']) };
    // The id says what the row must be.
    if (stackId(node.parent, node.layer) !== id) {
      this.#db.damagedRow('stacks', id);
      this.#db.prepare('DELETE FROM stacks WHERE id = ?').run(id);
      return undefined;
    }
    this.#nodes.set(id, node);
    return node;
  }
}

function stackId(parent: string, layer: string): string {
  return hexOf(sha256(`${parent} ${layer}`)).slice(0, 40);
}
