import { createHash } from 'node:crypto';
import { readTar, readTreeTar, type Tree, type TreeEntry } from './tree.ts';

/** What solving a graph came to, as `testdata/client/answers.json` has it. */
export interface Answer {
  /** Files by path, each as one line; of what was built on the base image only those that are not the same there. */
  readonly files?: Readonly<Record<string, string>>;
  /** Paths of the base image that are not in what was built on it. */
  readonly gone?: readonly string[];
  /** Why it failed. */
  readonly fails?: string;
}

/** What marks a tree as built on the base image. */
const OF_BASE = '/bin/busybox';

/** Texts beyond this are told by their hash (characters). */
const MAX_TEXT = 300;

/** Times before this were asked for; later ones are when something ran. Seconds. */
const LONG_AGO = 1_650_000_000;

/**
 * Describes the files of a result.
 * @param bytes a tar (`-o type=tar`)
 * @param base of the base image, as it comes
 */
export async function describeSolved(bytes: Uint8Array, base: Tree): Promise<Answer> {
  const tree = await readTreeTar(bytes);
  const times = new Map<string, number>();
  for (const { header } of await readTar(bytes))
    times.set(`/${header.name.replace(/^\.?\/|\/$/g, '')}`, (header.mtime?.getTime() ?? 0) / 1000);
  const onBase = OF_BASE in tree;
  const lineOf = (entry: TreeEntry, path: string): string => {
    const { type, mode, uid, gid, content } = entry;
    const time = times.get(path) ?? 0;
    // Whatever happens in a directory changes its time.
    const shown = type !== 'directory' && time > 0 && time < LONG_AGO ? ` @${time}` : '';
    const text = content === base[OF_BASE]?.content ? `that of ${OF_BASE}` : toldAs(content);
    return `${type} ${mode.toString(8)} ${uid}:${gid}${shown} ${text}`;
  };
  const isNew = ([path, entry]: [string, TreeEntry]): boolean => {
    const below = base[path];
    return !onBase || below === undefined || JSON.stringify(below) !== JSON.stringify(entry);
  };
  const files = Object.fromEntries(
    Object.entries(tree)
      .filter(([path, entry]) => path !== '/' && isNew([path, entry]))
      .map(([path, entry]) => [path, lineOf(entry, path)]),
  );
  const gone = onBase ? Object.keys(base).filter((path) => path !== '/' && !(path in tree)) : [];
  return { files, ...(gone.length === 0 ? {} : { gone }) };
}

function toldAs(content: string): string {
  return JSON.stringify(
    content.length > MAX_TEXT ? `sha256:${createHash('sha256').update(content).digest('hex')}` : content,
  );
}
