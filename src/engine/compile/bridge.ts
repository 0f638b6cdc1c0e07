import {
  type Bridge,
  ConvertedImage,
  type FileRequest,
  type ImageRequest,
  type ResolvedImage,
} from '../../frontend/index.ts';
import { type Definition, definitionOfSource, type SourceOp } from '../../llb/index.ts';
import type { SourcePolicies } from '../../source-policy/index.ts';
import { ContextTree } from '../../tree/index.ts';
import type { Task } from '../../events/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { checkImageDigest, IMAGE_SCHEME } from '../images/image-checksum.ts';
import { withImageHint } from '../images/image-hint.ts';
import { withInternalVertex } from '../internal-vertex.ts';
import { readLocalFile } from './local-files.ts';
import { notAnImage, policed } from './policed.ts';
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

/**
 * The frontend's only way to the world: registries and stores for image configs, directories for files.
 * @param policies hold for everything that it asks for
 */
export function createBridge(
  session: Session,
  task: Task,
  names: BridgeNames,
  solver: PartSolver,
  policies: SourcePolicies,
): Bridge {
  return {
    resolveImage: (request) =>
      withInternalVertex(task, session.now, request.name, (_vertex, _status, inner) =>
        resolveImage(session, inner, names, request, policies),
      ),
    readFile: (request) =>
      withInternalVertex(task, session.now, request.name, async (_vertex, status) => {
        const { from, path, limit } = request;
        const source = from.kind === 'local' ? policies.apply(localSource(from.name)) : undefined;
        // A directory may have become something else.
        if (source === undefined || !source.identifier.startsWith(LOCAL_SCHEME)) {
          const definition = from.kind === 'definition' ? from.definition : source && definitionOfSource(source);
          return definition && solver.readFile(task, policed(definition, policies), path, limit);
        }
        const data = readFile(session, names, source.identifier.slice(LOCAL_SCHEME.length), request);
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
      withInternalVertex(task, session.now, request.name, () =>
        solver.sourceTime(task, policed(request.definition, policies)),
      ),
  };
}

/** The config of an image, and what names it for good. */
async function resolveImage(
  session: Session,
  task: Task,
  names: BridgeNames,
  request: ImageRequest,
  policies: SourcePolicies,
): Promise<ResolvedImage> {
  const { written } = request;
  const meant = written === undefined ? request.reference : await meantBy(session, written);
  const { reference: named, attrs } = policedImage(policies, { ...request, reference: meant });
  const reference = layoutReference(names, { ...request, reference: named }) ?? named;
  const image = await session.images
    .resolve(task, reference, request.platform, { mode: request.mode })
    .catch((error: unknown) => {
      throw withImageHint(error, session.store, reference);
    });
  checkImageDigest(attrs, image);
  return { digest: image.digest, config: image.config, ...(named === request.reference ? {} : { reference: named }) };
}

const LOCAL_SCHEME = 'local://';

function localSource(name: string): SourceOp {
  return { kind: 'source', identifier: `${LOCAL_SCHEME}${name}`, attrs: new Map() };
}

/**
 * The image to use where a frontend names one.
 * @throws TsbuildError `TSB_POLICY`; `ConvertedImage` when it is to be no image of that kind
 */
export function policedImage(
  policies: SourcePolicies,
  { reference, ociLayout }: { readonly reference: string; readonly ociLayout?: string },
): { readonly reference: string; readonly attrs: ReadonlyMap<string, string> } {
  const scheme = ociLayout === undefined ? IMAGE_SCHEME : 'oci-layout://';
  const asked: SourceOp = {
    kind: 'source',
    identifier: `${scheme}${reference}`,
    attrs: new Map(ociLayout === undefined ? [] : [['oci.store', ociLayout]]),
  };
  const { identifier, attrs } = policies.apply(asked);
  if (!identifier.startsWith(scheme)) throw new ConvertedImage(notAnImage(asked, { ...asked, identifier }), identifier);
  return { reference: identifier.slice(scheme.length), attrs };
}

/** `oci-layout://DIR@digest` for an image of a layout that the request names. */
export function layoutReference(
  names: BridgeNames,
  request: { readonly ociLayout?: string; readonly reference: string },
): string | undefined {
  if (request.ociLayout === undefined) return undefined;
  const dir = layoutOf(names, request.ociLayout);
  return `oci-layout://${dir}${request.reference.slice(request.reference.indexOf('@'))}`;
}

/** The directory of a layout. @throws TsbuildError `TSB_USAGE` for one that the build was not given */
export function layoutOf(names: BridgeNames, layout: string): string {
  const dir = names.layouts.get(layout);
  if (dir !== undefined) return dir;
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot find OCI layout ${JSON.stringify(layout)}: the build was not given one of that name`,
  );
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
