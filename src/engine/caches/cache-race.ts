import type { Task } from '../../events/index.ts';
import { formatReference, type Reference } from '../../image/index.ts';
import type { Registry } from '../../registry/index.ts';
import { isTsbuildError } from '../../util/index.ts';
import type { CacheExport } from '../../remote-cache/index.ts';

/** What a name stood for: a digest, `absent`, or undefined when nobody could tell. */
type Seen = string | undefined;

/**
 * Tells whether somebody else wrote a cache's name while the build ran. A registry has no way to replace only what was read, so that the
 * last of two builds wins, and the other's work is gone without a word: this is the word.
 */
export class CacheRace {
  readonly #registry: Registry;
  readonly #before = new Map<string, { seen: Seen }>();

  /** Looks what the names stand for now, beside the build; nobody waits for it. */
  constructor(registry: Registry, task: Task, exports: readonly CacheExport[]) {
    this.#registry = registry;
    for (const spec of exports) {
      if (spec.type !== 'registry') continue;
      const state: { seen: Seen } = { seen: undefined };
      this.#before.set(formatReference(spec.reference), state);
      void this.#look(task, spec.reference).then((seen) => {
        state.seen = seen;
      });
    }
  }

  /**
   * Whether the name stands for something else than at the start of the build.
   * @param own digest of what this build is about to write: who has written just that did no harm
   */
  async lost(task: Task, reference: Reference, own: string): Promise<boolean> {
    const before = this.#before.get(formatReference(reference))?.seen;
    if (before === undefined) return false;
    const now = await this.#look(task, reference);
    return now !== undefined && now !== 'absent' && now !== before && now !== own;
  }

  async #look(task: Task, reference: Reference): Promise<Seen> {
    try {
      return (await this.#registry.resolve(task, reference)).digest;
    } catch (error) {
      // Whatever is wrong with the registry is told when the cache is written.
      return isTsbuildError(error, 'TSB_NOT_FOUND') ? 'absent' : undefined;
    }
  }
}
