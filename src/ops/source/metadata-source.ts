import { copyAll } from '../../fileop/index.ts';
import { encodeStat } from '../../gateway/index.ts';
import type { FileAction, SourceOp } from '../../llb/index.ts';
import { type ContextDir, type ContextTree, joinPath, toText } from '../../tree/index.ts';
import { goBool, sanitizeLine, TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import { fillDirectory } from '../file/fill-directory.ts';
import type { LocalResult, OpResult } from '../result.ts';
import type { SourcePieces } from './source-pieces.ts';

/** Where BuildKit puts what is known of the files; a file of that name in the directory is passed over. */
const METADATA = '.fsutil-metadata';

/**
 * Whether of a local directory only the names and attributes of files are wanted, but for some.
 * @throws TsbuildError `TSB_LLB`
 */
export function isMetadataOnly({ attrs }: SourceOp): boolean {
  const text = attrs.get('local.metadatatransfer') ?? '0';
  const value = goBool(text);
  if (value !== undefined) return value;
  throw new TsbuildError(
    'TSB_LLB',
    `invalid value for local.metadatatransfer ${JSON.stringify(sanitizeLine(text, 100))}: it is neither true nor false`,
  );
}

/**
 * A local directory as `MetadataOnlyTransfer` of BuildKit's client gives it: the files that are excepted, and one file that tells of all
 * others, each record of it a length (32 bits, little endian) and a message (fsutil's `types.Stat`).
 */
export async function layerOfMetadata(
  pieces: SourcePieces,
  task: Task,
  { attrs, identifier }: SourceOp,
  local: LocalResult,
): Promise<OpResult> {
  const includePatterns = exceptionsOf(attrs);
  const hasFiles = includePatterns.length > 0;
  const copy: FileAction = { ...copyAll, output: -1, includePatterns, excludePatterns: [METADATA] };
  const data = new Uint8Array(Buffer.concat([...recordsOf(local.tree)]));
  const file: FileAction = {
    kind: 'mkfile',
    // The result of the copy comes after the one input.
    input: hasFiles ? 1 : -1,
    secondaryInput: -1,
    output: 0,
    path: `/${METADATA}`,
    mode: 0o644,
    data,
    timestamp: 0n,
  };
  const [made] = await fillDirectory(
    pieces,
    task,
    { kind: 'file', actions: hasFiles ? [copy, file] : [file] },
    hasFiles ? [local] : [],
    { description: `metadata of ${identifier}`, type: 'source.local' },
  );
  if (!made) throw new TsbuildError('TSB_INTERNAL', 'A directory made no layer');
  return made;
}

/** Patterns of the files that come with their content. */
function exceptionsOf(attrs: ReadonlyMap<string, string>): readonly string[] {
  const json = attrs.get('local.metadatatransferexclude') ?? '';
  if (json === '') return [];
  try {
    const value: unknown = JSON.parse(json);
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  } catch {
    // Said below.
  }
  throw new TsbuildError(
    'TSB_LLB',
    'Cannot use a local source: local.metadatatransferexclude is not a list of strings',
  );
}

function* recordsOf(tree: ContextTree): Generator<Uint8Array, void, void> {
  const links = new Map<string, string>();
  function* visit(dir: ContextDir): Generator<Uint8Array, void, void> {
    for (const name of tree.list(dir)) {
      const node = tree.lookup(dir, name);
      const path = toText(joinPath(dir.path, name));
      if (node === undefined || path === METADATA) continue;
      const { type, mode, uid, gid, size, mtimeNs, hardlink } = node;
      const first = hardlink === undefined ? undefined : links.get(hardlink);
      if (hardlink !== undefined && first === undefined) links.set(hardlink, path);
      const link = type === 'symlink' ? toText(node.linkname) : first;
      const shown = type === 'file' || type === 'directory' || type === 'symlink' ? type : 'other';
      const stat = { name: path, type: shown, mode, uid, gid, size: first === undefined ? size : 0, mtimeNs } as const;
      const message = encodeStat({ ...stat, ...(link === undefined ? {} : { link }) });
      const length = Buffer.alloc(4);
      length.writeUInt32LE(message.length);
      yield length;
      yield message;
      if (type === 'directory') yield* visit(tree.enter(dir, name));
    }
  }
  yield* visit(tree.root);
}
