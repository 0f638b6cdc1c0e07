import { copyAll } from '../../fileop/index.ts';
import { safeFileName } from '../../source/index.ts';
import { ContextTree } from '../../tree/index.ts';
import { TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import { fillDirectory } from '../file/fill-directory.ts';
import type { OpResult } from '../result.ts';
import type { SourcePieces } from './source-pieces.ts';

/** How a file that a source brings looks in its layer: the `http.` attributes. */
export interface FileAttributes {
  readonly filename: string | undefined;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** A file that a source has brought. */
export interface BroughtFile extends Omit<FileAttributes, 'filename'> {
  /** The directory of this machine that it is in, as `file`. */
  readonly dir: string;
  readonly name: string;
  /** Seconds since the epoch. */
  readonly time: number;
}

/** Makes a file the only one of a layer. */
export async function layerOfFile(
  pieces: SourcePieces,
  task: Task,
  { dir, name, mode, uid, gid, time }: BroughtFile,
  description: string,
): Promise<OpResult> {
  const copy = {
    ...copyAll,
    output: 0,
    src: '/file',
    dest: `/${name}`,
    dirCopyContents: false,
    mode,
    owner: { user: { kind: 'byId', id: uid }, group: { kind: 'byId', id: gid } },
    timestamp: BigInt(time) * 1_000_000_000n,
  } as const;
  const tree = ContextTree.open(dir, { xattrs: false });
  const [made] = await fillDirectory(pieces, task, { kind: 'file', actions: [copy] }, [{ kind: 'local', tree }], {
    description,
    type: 'source.http',
  });
  if (!made) throw new TsbuildError('TSB_INTERNAL', 'A file made no layer');
  return made;
}

/** The attributes out of the graph, which may be anybody's. @throws TsbuildError `TSB_LLB` */
export function fileAttributes(attrs: ReadonlyMap<string, string>): FileAttributes {
  const filename = attrs.get('http.filename') || undefined;
  return {
    filename: filename === undefined ? undefined : safeFileName(filename),
    mode: numberOf(attrs, 'http.perm', 0o777) || 0o600,
    uid: numberOf(attrs, 'http.uid', 0xffff_fffe),
    gid: numberOf(attrs, 'http.gid', 0xffff_fffe),
  };
}

/** A number as Go's `strconv.ParseInt(text, 0, 64)` reads it: a leading zero means octal. */
function numberOf(attrs: ReadonlyMap<string, string>, name: string, max: number): number {
  const text = attrs.get(name) ?? '0';
  const value = /^0[0-7]+$/.test(text)
    ? Number.parseInt(text, 8)
    : /^(0o[0-7]+|0x[0-9a-f]+|0b[01]+|0|[1-9]\d*)$/i.test(text)
      ? Number(text)
      : Number.NaN;
  if (Number.isSafeInteger(value) && value <= max) return value;
  throw new TsbuildError(
    'TSB_LLB',
    `Cannot use attribute "${name}" of a source: ${JSON.stringify(text.slice(0, 100))} is not a number that it can be`,
  );
}
