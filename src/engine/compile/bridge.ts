import type { Bridge, FileRequest, ImageRequest, ResolvedImage } from '../../frontend/index.ts';
import type { Definition } from '../../llb/index.ts';
import { ContextTree } from '../../tree/index.ts';
import type { Task } from '../../events/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { withImageHint } from '../images/image-hint.ts';
import { withInternalVertex } from '../internal-vertex.ts';
import { readLocalFile } from './local-files.ts';
import type { Session } from '../session.ts';
import { meantBy } from '../images/short-names.ts';

/** What the frontend's names stand for in this build. */
export interface BridgeNames {
  /** Local directories by name: `context`, `dockerfile` and named contexts. */
  readonly locals: ReadonlyMap<string, string>;
  /** OCI layout directories by name. */
  readonly layouts: ReadonlyMap<string, string>;
}

/** What the bridge needs of the solver: parts of graphs that the frontend builds on its way. */
export interface PartSolver {
  /** A file of the result of a definition, at most its first `limit` bytes; undefined when there is none. */
  readFile(
    task: Task,
    definition: Definition,
    path: string,
    limit: number | undefined,
  ): Promise<Uint8Array | undefined>;
  /** When the one source of a definition was made, in seconds since the epoch, if that is known. */
  sourceTime(task: Task, definition: Definition): Promise<number | undefined>;
}

/** The frontend's only way to the world: registries and stores for image configs, directories for files. */
export function createBridge(session: Session, task: Task, names: BridgeNames, solver: PartSolver): Bridge {
  return {
    resolveImage: (request) =>
      withInternalVertex(task, session.now, request.name, (_vertex, _status, inner) =>
        resolveImage(session, inner, names, request),
      ),
    readFile: (request) =>
      withInternalVertex(task, session.now, request.name, async (_vertex, status) => {
        const { from, path, limit } = request;
        if (from.kind === 'definition') return solver.readFile(task, from.definition, path, limit);
        const data = readFile(session, names, from.name, request);
        if (data)
          status(
            `transferring ${request.path === '.dockerignore' ? 'context' : 'dockerfile'}`,
            data.length,
            undefined,
            true,
          );
        return data;
      }),
    sourceTime: (request) =>
      withInternalVertex(task, session.now, request.name, () => solver.sourceTime(task, request.definition)),
  };
}

/** The config of an image, and what names it for good. */
async function resolveImage(
  session: Session,
  task: Task,
  names: BridgeNames,
  request: ImageRequest,
): Promise<ResolvedImage> {
  const { written } = request;
  const named = written === undefined ? request.reference : await meantBy(session, written);
  const reference = layoutReference(names, request) ?? named;
  const image = await session.images
    .resolve(task, reference, request.platform, { mode: request.mode })
    .catch((error: unknown) => {
      throw withImageHint(error, session.store, reference);
    });
  return { digest: image.digest, config: image.config, ...(named === request.reference ? {} : { reference: named }) };
}

/** `oci-layout://DIR@digest` for an image of a layout that the request names. */
export function layoutReference(
  names: BridgeNames,
  request: { readonly ociLayout?: string; readonly reference: string },
): string | undefined {
  if (request.ociLayout === undefined) return undefined;
  const dir = names.layouts.get(request.ociLayout);
  if (dir === undefined)
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot find OCI layout ${JSON.stringify(request.ociLayout)}: the build was not given one of that name`,
    );
  return `oci-layout://${dir}${request.reference.slice(request.reference.indexOf('@'))}`;
}

/** A file of a local directory; the build stands on it from here on, so the witness is told. */
function readFile(session: Session, names: BridgeNames, name: string, request: FileRequest): Uint8Array | undefined {
  const dir = names.locals.get(name);
  if (dir === undefined)
    throw new TsbuildError(
      'TSB_CONTEXT',
      `Cannot read "${request.path}": the build has no local directory ${JSON.stringify(name)}`,
    );
  const tree = ContextTree.open(dir, { xattrs: false });
  session.witness.tree(dir, tree);
  return readLocalFile(tree, request.path, request.limit);
}
