import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { LowerRoots } from '../../src/layer/lower-roots.ts';

const dir = mkdtempSync(join(tmpdir(), 'tsbuild-lower-roots-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const layers = Array.from({ length: 50 }, (_, at) => join(dir, String(at)));
for (const layer of layers) mkdirSync(layer);

const openFiles = (): number => readdirSync('/proc/self/fd').length;

test('how the root below looks takes one descriptor, whatever lies beneath it, and a look into it all', () => {
  const before = openFiles();
  let waits = 0;
  {
    using roots = new LowerRoots(layers, () => waits++);
    expect([waits, openFiles()]).toEqual([0, before]);
    const top = roots.top();
    expect(roots.top()).toBe(top);
    expect(openFiles()).toBe(before + 1);
    expect(roots.all()).toHaveLength(layers.length);
    expect(roots.all()).toHaveLength(layers.length);
    expect(waits).toBe(1);
  }
  expect(openFiles()).toBe(before);
});

test('of no layers there is nothing to wait for', () => {
  using roots = new LowerRoots([], () => expect.unreachable());
  expect([roots.top(), roots.all()]).toEqual([undefined, []]);
});

test('a layer that is missing is told', () => {
  using roots = new LowerRoots([join(dir, 'none'), ...layers]);
  expect(roots.top()).toBeGreaterThan(0);
  expect(() => roots.all()).toThrow(/none.*does not exist/);
});
