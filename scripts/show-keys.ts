/**
 * Draws the key graph of a store as mermaid: `node scripts/show-keys.ts STORE`. docs/dev/cache-keys.md explains the drawing.
 * Ids are cut to 8 digits. A box is a leaf: the content of an input, or an op without inputs.
 */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const [store] = process.argv.slice(2);
if (store === undefined) {
  process.stderr.write('Usage: node scripts/show-keys.ts STORE\n');
  process.exit(2);
}
const database = new DatabaseSync(join(store, 'index.sqlite'), { readOnly: true });
const short = (id: unknown): string =>
  String(id)
    .replace(/^sha256:/, '')
    .slice(0, 8);

const links = database
  .prepare('SELECT source, op, input, selector, node FROM links ORDER BY node, input, selector, source')
  .all()
  .map(({ source, op, input, selector, node }) => ({
    from: short(source),
    to: short(node),
    label: `op ${short(op)}, input ${String(input)}${selector === '' ? '' : `, selector ${short(selector)}`}`,
  }));
const records = database
  .prepare('SELECT node FROM records ORDER BY node')
  .all()
  .map(({ node }) => short(node));
database.close();

const inner = new Set(links.map(({ to }) => to));
const leaves = new Set(links.map(({ from }) => from).filter((id) => !inner.has(id)));
const lines = [
  'flowchart LR',
  ...[...leaves].toSorted().map((id) => `  ${id}["leaf ${id}"]`),
  ...[...inner].toSorted().map((id) => `  ${id}(["node ${id}"])`),
  ...links.map(({ from, to, label }) => `  ${from} -- "${label}" --> ${to}`),
  ...records.map((node, at) => `  ${node} -.- record${at}[/"record"/]`),
];
process.stdout.write(`${lines.join('\n')}\n`);
