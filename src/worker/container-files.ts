import { extractArchive, Extractor, type TarEntry, type TarHandler, TarReader } from '../layer/index.ts';
import { BufferedOutput, RootfsTar } from '../rootfs/index.ts';
import { makeFilesAs } from '../sys/index.ts';
import { FsTree, toText } from '../tree/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { CopiedFiles, CopyFilesParams } from './container-methods.ts';
import { type CopySource, findDestination, findSource } from './copy-places.ts';
import type { HandlerContext } from './handler-context.ts';
import { standardInput, writeStandardOutput } from './standard-streams.ts';

/** See `CopiedFiles`. */
const MAX_SKIPPED = 100;

/** The root of the container that this worker was started for. */
let container: FsTree | undefined;

/**
 * Opens a container's root through its first process. From there on files are reached by descriptors, one name at a time: links in the
 * container end in it, and what runs in it can move its directories about without leading anybody outside.
 */
export function openContainer({ pid }: { readonly pid: number }, { config }: HandlerContext): void {
  const { idShift, idCount } = config.plan;
  container = FsTree.open(`/proc/${pid}/root`, { idShift, idLimit: idCount });
  // Root's ids are none of a container's. What is made for this machine is given to its owner at once.
  if (idShift > 0) makeFilesAs(idShift);
}

/**
 * Copies by way of a tar stream, which is what docker does between its client and its daemon.
 * @throws TsbuildError `TSB_USAGE`, `TSB_ARCHIVE`
 */
export async function copyFiles(params: CopyFilesParams, context: HandlerContext): Promise<CopiedFiles> {
  if (container === undefined) throw new TsbuildError('TSB_INTERNAL', 'No container is open');
  const { from, to } = params;
  if (from.kind === 'stream') return extractStream(container, params, context);
  using source = findSource(container, from, params.follow);
  if (to.kind === 'stream') return writeTar(source, source.called, writeStandardOutput);
  using destination = findDestination(container, to, source.isDirectory);
  const path = destination.name ?? source.called;
  const target = targetOf(params, context, destination.fd);
  const reader = new TarReader(to.kind === 'host' ? new ForHost(target, params.archive) : target);
  try {
    // Sockets do not get into the archive, and devices not out of it.
    const { bytes, skipped } = writeTar(source, path, (piece) => reader.push(piece));
    reader.finish();
    target.finish();
    return { bytes, skipped: [...skipped, ...target.skipped.map(toText)].slice(0, MAX_SKIPPED) };
  } finally {
    target.dispose();
  }
}

function writeTar(source: CopySource, path: string, write: (bytes: Buffer) => void): CopiedFiles {
  const output = new BufferedOutput(write);
  const archive = new RootfsTar(output, { trees: [] }, () => undefined);
  archive.addNode(source.tree, source, path);
  archive.end();
  output.flush();
  const { bytes, skipped } = archive.report();
  return { bytes, skipped };
}

function targetOf({ to, archive }: CopyFilesParams, { config }: HandlerContext, rootFd: number): Extractor {
  const { idShift, idCount } = config.plan;
  const ids = to.kind === 'container' ? { idShift, idCount } : { idShift: 0, idCount: idShift > 0 ? 2 ** 31 : idCount };
  // Root's of the container, or the user's, who need not be root there.
  const owner =
    to.kind === 'container' ? { uid: 0, gid: 0 } : { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  return new Extractor({ rootFd, layer: false, keepKinds: true, ...ids, ...(archive ? {} : { owner }) });
}

/** `cp - NAME:DIR`: an archive has owners, which stay. */
async function extractStream(
  root: FsTree,
  { to }: CopyFilesParams,
  { config, signal }: HandlerContext,
): Promise<CopiedFiles> {
  if (to.kind === 'stream') throw new TsbuildError('TSB_INTERNAL', 'Nothing is copied between streams');
  using destination = findDestination(root, to, true, true);
  const { idShift, idCount } = config.plan;
  const { bytes, skipped } = await extractArchive({
    source: standardInput(),
    rootFd: destination.fd,
    keepKinds: true,
    idShift,
    idCount,
    signal,
  });
  return { bytes, skipped: skipped.map(toText) };
}

/** What a container made gets no rights over the machine: no setuid without `-a`, and never capabilities. */
class ForHost implements TarHandler {
  readonly #target: TarHandler;
  readonly #mask: number;

  constructor(target: TarHandler, archive: boolean) {
    this.#target = target;
    this.#mask = archive ? 0o7777 : 0o1777;
  }

  entry(entry: TarEntry): void {
    this.#target.entry(this.#plain(entry));
  }

  data(chunk: Buffer, offset: number): void {
    this.#target.data(chunk, offset);
  }

  end(entry: TarEntry): void {
    this.#target.end(this.#plain(entry));
  }

  #plain({ xattrs: _xattrs, ...entry }: TarEntry): TarEntry {
    return { ...entry, mode: entry.mode & this.#mask };
  }
}
