import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { randomHex } from '../../src/util/index.ts';
import { tar } from '../support/image.ts';
import { inRepeatableOrder } from './support/order.ts';

const folder = fs.mkdtempSync(join(tmpdir(), 'tsbuild-order-'));
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Layers as directories and blobs, and documents, under names that are drawn by chance. */
function store(): string {
  const root = fs.mkdtempSync(join(folder, 'store-'));
  for (const name of ['bin', 'etc', 'said', 'said']) {
    const fsDir = join(root, randomHex(16), 'fs');
    fs.mkdirSync(join(fsDir, name), { recursive: true });
    fs.writeFileSync(join(root, randomHex(32)), gzipSync(tar([{ name, content: randomHex(8) }])));
    fs.writeFileSync(join(root, randomHex(32)), JSON.stringify({ [name]: randomHex(4) }));
  }
  return root;
}

/** What a path is, without its name. */
function told(path: string): string {
  if (fs.lstatSync(path).isDirectory()) return fs.readdirSync(join(path, 'fs')).join(' ');
  const [first] = fs.readFileSync(path);
  return first === 0x7b
    ? `document ${Object.keys(JSON.parse(fs.readFileSync(path, 'utf8')) as object).join(' ')}`
    : 'layer';
}

test('what a seed chooses from is in the same order whatever the names are', () => {
  const orders = Array.from({ length: 5 }, () => inRepeatableOrder(store()).map(told));
  expect(new Set(orders.map((order) => order.join(','))).size).toBe(1);
  expect(orders[0]).toHaveLength(12);
});
