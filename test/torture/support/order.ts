import fs from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

/**
 * What stands in a directory of a store, in an order that the next run with the same seed finds too. Ids are drawn by chance and
 * digests cover times, so names tell nothing: things are sorted by what is in them, and among equals by age.
 */
export function inRepeatableOrder(dir: string): readonly string[] {
  return fs
    .readdirSync(dir)
    .map((name) => {
      const path = join(dir, name);
      return { path, looks: looksOf(path), made: fs.lstatSync(path).birthtimeMs };
    })
    .sort((one, other) => compare(one.looks, other.looks) || one.made - other.made || compare(one.path, other.path))
    .map(({ path }) => path);
}

/** Everything beneath a path, sorted by name. Nothing for a file. */
export function below(path: string): readonly string[] {
  if (!fs.lstatSync(path).isDirectory()) return [];
  return fs
    .readdirSync(path)
    .toSorted()
    .flatMap((name) => [join(path, name), ...below(join(path, name))]);
}

/** The names in a directory, the names in a layer, the kind of a document. */
function looksOf(path: string): string {
  const stat = fs.lstatSync(path);
  if (stat.isDirectory())
    return below(path)
      .map((inside) => inside.slice(path.length))
      .join('\n');
  if (!stat.isFile()) return 'other';
  const bytes = fs.readFileSync(path);
  if (bytes[0] === 0x7b)
    return `document ${[...bytes.toString('latin1').matchAll(/"([a-zA-Z_]+)":/g)].map(([, key]) => key).join(' ')}`;
  try {
    return `layer ${namesInTar(gunzipSync(bytes)).join(' ')}`;
  } catch {
    return 'file';
  }
}

/** The names in the headers of a tar. */
function namesInTar(tar: Buffer): readonly string[] {
  const names: string[] = [];
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
    const field = (from: number, length: number): string =>
      tar.toString('latin1', at + from, at + from + length).split('\0')[0] ?? '';
    names.push(field(0, 100));
    at += 512 + Math.ceil(Number.parseInt(field(124, 12), 8) / 512) * 512;
  }
  return names;
}

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);
