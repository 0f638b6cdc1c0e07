import fs from 'node:fs';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Lease } from '../../src/store/leases.ts';
import { collectGarbage } from './collect-garbage.ts';
import { openStore, realBootId, removeTrees, tempRoot, type TestStore } from './support.ts';

const small = fc.nat({ max: 5 });
const action = fc.oneof(
  fc.record({ kind: fc.constant('begin' as const), store: fc.nat({ max: 1 }) }),
  fc.record({ kind: fc.constant('make' as const), lease: small }),
  fc.record({ kind: fc.constant('hold' as const), lease: small, layer: small }),
  fc.record({ kind: fc.constant('release' as const), lease: small }),
  fc.record({ kind: fc.constant('reopen' as const), store: fc.nat({ max: 1 }) }),
  fc.record({ kind: fc.constant('collect' as const), store: fc.nat({ max: 1 }) }),
);

type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

interface Held {
  readonly lease: Lease;
  readonly store: number;
  readonly layers: Set<string>;
}

/** Two commands at work on one store, beside a list of who holds what. */
class Model implements Disposable {
  readonly #root = tempRoot();
  readonly #stores: TestStore[] = [0, 1].map(() => openStore(this.#root, { bootId: realBootId }));
  #leases: Held[] = [];
  readonly #layers: string[] = [];
  readonly #gone = new Set<string>();

  async run(one: Action): Promise<void> {
    switch (one.kind) {
      case 'begin':
        this.#leases.push({ lease: this.#at(one.store).leases.create(), store: one.store, layers: new Set() });
        return;
      case 'make': {
        const held = this.#leases[one.lease];
        if (!held) return;
        const { layers } = this.#at(held.store);
        const id = layers.create({ parents: [] }, held.lease);
        fs.writeFileSync(`${layers.prepareDirectory(id).fs}/file`, id);
        held.layers.add(id);
        this.#layers.push(id);
        return;
      }
      case 'hold': {
        const [held, id] = [this.#leases[one.lease], this.#layers[one.layer]];
        if (!held || id === undefined) return;
        expect(held.lease.hold({ layers: [id] }).missingLayers).toEqual(this.#gone.has(id) ? [id] : []);
        held.layers.add(id);
        return;
      }
      case 'release': {
        const [held] = this.#leases.splice(one.lease, 1);
        held?.lease.release();
        // Once more does nothing, to others neither.
        held?.lease.release();
        if (held) expect(() => held.lease.hold({ layers: [] })).toThrow('was released');
        return;
      }
      case 'reopen':
        // What a command held goes with it, whether or not it let go.
        this.#stores[one.store]?.[Symbol.dispose]();
        this.#stores[one.store] = openStore(this.#root, { bootId: realBootId });
        this.#leases = this.#leases.filter(({ store }) => store !== one.store);
        return;
      case 'collect':
        await collectGarbage(this.#at(one.store), removeTrees);
        for (const id of this.#layers) if (!this.#isHeld(id)) this.#gone.add(id);
    }
  }

  check(): void {
    for (const { store } of this.#stores) {
      const held = this.#layers.filter((id) => this.#isHeld(id));
      expect([...store.leases.names('layer')].toSorted()).toEqual(held.toSorted());
      expect(this.#layers.filter((id) => store.leases.holds('layer', id))).toEqual(held);
    }
    for (const id of this.#layers) {
      const file = `${this.#at(0).layout.snapshots}/${id}/fs/file`;
      expect([id, fs.existsSync(file)]).toEqual([id, !this.#gone.has(id)]);
    }
  }

  [Symbol.dispose](): void {
    for (const store of this.#stores) store[Symbol.dispose]();
  }

  #at(index: number): TestStore['store'] {
    const found = this.#stores[index];
    if (!found) throw new Error('There are two stores');
    return found.store;
  }

  #isHeld(id: string): boolean {
    return this.#leases.some(({ layers }) => layers.has(id));
  }
}

test('what any lease names is kept, and nothing else, whoever collects (REL-12)', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 25, size: 'max' }), async (actions) => {
      using model = new Model();
      for (const one of actions) {
        await model.run(one);
        model.check();
      }
    }),
    { numRuns: 40 },
  );
});
