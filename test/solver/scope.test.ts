import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { contentKey, executionKey, type InputIdentity, nodeKey } from '../../src/solver/keys.ts';
import { Scope } from '../../src/solver/scope.ts';
import { createSlots } from '../../src/solver/slots.ts';
import type { KeyLink } from '../../src/solver/types.ts';
import { type Digest, sha256 } from '../../src/util/index.ts';

const REASON = new Error('the user has had enough');
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a reason to stop', () => {
  test('reaches all that was started, at any depth, whenever it was', () => {
    const scope = new Scope();
    const child = scope.child();
    const grandchild = child.child();
    const told: string[] = [];
    scope.onAbort(() => told.push('scope'));
    grandchild.onAbort(() => told.push('grandchild'));
    const { signal } = grandchild;
    expect([scope.aborted, signal.aborted]).toEqual([false, false]);
    scope.abort(REASON);
    expect(told.toSorted()).toEqual(['grandchild', 'scope']);
    for (const one of [scope, child, grandchild]) {
      expect([one.aborted, one.reason, one.signal.aborted, one.signal.reason]).toEqual([true, REASON, true, REASON]);
      expect(() => one.throwIfAborted()).toThrow(REASON);
    }
    const late = scope.child();
    expect([late.aborted, late.reason]).toEqual([true, REASON]);
  });

  test('does not go up, and the first one counts', () => {
    const scope = new Scope();
    const child = scope.child();
    child.abort(REASON);
    child.abort(new Error('another'));
    expect([child.reason, scope.aborted]).toEqual([REASON, false]);
    scope.abort(new Error('later'));
    expect(child.reason).toBe(REASON);
  });

  test('is told once, and not to who took his wish back', () => {
    const scope = new Scope();
    let told = 0;
    const off = scope.onAbort(() => told++);
    scope.onAbort(() => told++);
    off();
    scope.abort(REASON);
    scope.abort(REASON);
    expect(told).toBe(1);
  });

  test('work that is over is stopped, and its parent forgets it', () => {
    const scope = new Scope();
    let child: Scope | undefined;
    {
      using one = scope.child();
      child = one;
      expect(one.aborted).toBe(false);
    }
    expect(child.aborted).toBe(true);
    scope.abort(REASON);
    // What it was stopped for is not what others are stopped for.
    expect(child.reason).not.toBe(REASON);
  });

  test('whoever tells another one while he is told ends as well', () => {
    const scope = new Scope();
    const other = new Scope();
    scope.onAbort(() => other.abort(scope.reason));
    scope.onAbort(() => scope.abort(new Error('again')));
    scope.abort(REASON);
    expect([scope.reason, other.reason]).toEqual([REASON, REASON]);
  });
});

describe('slots', () => {
  test('so many run at a time, in their order, whatever was asked for', async () => {
    for (const [wanted, most] of [
      [1, 1],
      [3, 3],
      [2.9, 2],
      [0, 1],
      [-5, 1],
    ] as const) {
      const slots = createSlots(wanted);
      const scope = new Scope();
      let [running, seen] = [0, 0];
      const order: number[] = [];
      const all = Array.from({ length: 8 }, (_, at) =>
        slots(scope, async () => {
          order.push(at);
          seen = Math.max(seen, ++running);
          await turn();
          running--;
          return at;
        }),
      );
      expect(await Promise.all(all)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      expect(seen).toBe(most);
    }
  });

  test('who is stopped while he waits leaves at once, and never runs', async () => {
    const slots = createSlots(1);
    const first = Promise.withResolvers<undefined>();
    const running = slots(new Scope(), () => first.promise);
    const scope = new Scope();
    let ran = false;
    const waiting = slots(scope, async () => void (ran = true));
    const after = slots(new Scope(), async () => 'after');
    await turn();
    scope.abort(REASON);
    await expect(waiting).rejects.toBe(REASON);
    first.resolve(undefined);
    await running;
    expect(await after).toBe('after');
    expect(ran).toBe(false);
    await expect(slots(scope, async () => void (ran = true))).rejects.toBe(REASON);
    expect(ran).toBe(false);
  });

  test('what runs is waited for, also when it is stopped', async () => {
    const slots = createSlots(1);
    const scope = new Scope();
    const ended = Promise.withResolvers<string>();
    const running = slots(scope, () => ended.promise);
    await turn();
    scope.abort(REASON);
    let settled = false;
    void running.finally(() => (settled = true)).catch(() => undefined);
    await turn();
    expect(settled).toBe(false);
    ended.resolve('cleaned up');
    expect(await running).toBe('cleaned up');
  });

  test('a failure stops those that wait before the next of them begins', async () => {
    const slots = createSlots(1);
    const scope = new Scope();
    const ran: string[] = [];
    const failing = slots(scope, async () => {
      await turn();
      throw REASON;
    });
    const next = slots(scope, async () => void ran.push('next'));
    failing.catch(() => scope.abort(REASON));
    await expect(next).rejects.toBe(REASON);
    expect(ran).toEqual([]);
    await expect(failing).rejects.toBe(REASON);
    // The slot is free again.
    expect(await slots(new Scope(), async () => 'free')).toBe('free');
  });
});

describe('keys', () => {
  const digests = fc.constantFrom('a', 'b', 'c').map((text) => sha256(text));
  const maybe = fc.option(digests, { nil: undefined });
  const links = fc.array(
    fc.record(
      { input: fc.nat(2), from: fc.constantFrom('', 'a', 'ab', 'b'), selector: maybe },
      { requiredKeys: ['input', 'from'] },
    ),
    { maxLength: 3 },
  ) as fc.Arbitrary<KeyLink[]>;
  const shape = (value: unknown): string => JSON.stringify(value, (_, one: unknown) => one ?? null);
  /** A link without a selector is one whose selector is undefined. */
  const plain = (all: readonly KeyLink[]): unknown =>
    all.map(({ input, from, selector }) => [input, from, selector ?? null]);

  test('of nodes are the same for the same op, output and links, and for nothing else', () => {
    const nodes = fc.tuple(digests, fc.nat(2), links);
    fc.assert(
      fc.property(nodes, nodes, ([op, output, one], [op2, output2, two]) => {
        const isSame = shape([op, output, plain(one)]) === shape([op2, output2, plain(two)]);
        expect(nodeKey(op, output, one) === nodeKey(op2, output2, two)).toBe(isSame);
        expect(nodeKey(op, output, one)).toMatch(/^[0-9a-f]{64}$/);
      }),
      { numRuns: 500 },
    );
  });

  test('of executions follow from what is read where that is known, else from which result is read and what of it', () => {
    const identity = fc.record({ content: maybe, selector: maybe, result: fc.constantFrom('r', 's') });
    const executions = fc.tuple(digests, fc.array(identity, { maxLength: 2 }), fc.boolean());
    const means = ([op, inputs, fresh]: readonly [Digest, readonly InputIdentity[], boolean]): string =>
      shape([op, fresh, inputs.map(({ content, selector, result }) => content ?? [result, selector ?? null])]);
    fc.assert(
      fc.property(executions, executions, (one, two) => {
        expect(executionKey(...one) === executionKey(...two)).toBe(means(one) === means(two));
      }),
      { numRuns: 500 },
    );
  });

  test('of contents are those of no op', () => {
    expect(contentKey(sha256('a'))).not.toBe(contentKey(sha256('b')));
    expect(contentKey(sha256('a'))).not.toBe(nodeKey(sha256('a'), 0, []));
  });
});
