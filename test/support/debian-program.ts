import { execFileSync } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import type { ContextFile } from './bench.ts';

/** Programs of Debian packages with the libraries that they are linked with, as files of a context: `root/usr/bin/…`. */
export function debianPrograms(...paths: readonly string[]): Readonly<Record<string, ContextFile>> {
  const libraries = paths.flatMap((path) =>
    [...execFileSync('ldd', [path], { encoding: 'utf8' }).matchAll(/(?:=> |^\s+)(\/\S+) \(/gm)].map(
      ([, file]) => file ?? '',
    ),
  );
  return Object.fromEntries(
    [...new Set([...paths, ...libraries])].map((path) => [
      `root${path}`,
      { text: readFileSync(realpathSync(path)), mode: 0o755 },
    ]),
  );
}
