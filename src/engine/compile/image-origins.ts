import { hostPlatform, parsePlatform, parseReference } from '../../image/index.ts';
import type { Task } from '../../events/index.ts';
import type { ImageLayers, Origins } from '../../ops/index.ts';
import type { Shown } from '../../snapshots/index.ts';
import { parseLayoutReference, type ResolveMode } from '../../source/index.ts';
import { sanitizeLine, SharedWork, TsbuildError } from '../../util/index.ts';
import { checkImageDigest } from '../images/image-checksum.ts';
import { withImageHint } from '../images/image-hint.ts';
import type { BuildRequest } from '../request.ts';
import type { Session } from '../session.ts';
import { type BridgeNames, layoutOf, layoutReference } from './bridge.ts';

/** Resolves images once per build and registers their layers. */
export function imageResolver(session: Session, names: BridgeNames, request: BuildRequest): Origins['image'] {
  const known = new SharedWork<string, ImageLayers>({ keep: true });
  return (task, identifier, platform, attrs, shown) =>
    known.run(
      `${platform} ${identifier} ${attrs.get('image.checksum') ?? ''} ${attrs.get(RESOLVE_MODE) ?? ''}`,
      task.signal,
      () => findImage(session, task, names, { identifier, platform, attrs, shown }, request.pull),
    );
}

const RESOLVE_MODE = 'image.resolvemode';

/** When a graph wants an image to be looked up anew. @throws TsbuildError `TSB_LLB` */
function resolveModeOf(attrs: ReadonlyMap<string, string>): ResolveMode {
  const mode = attrs.get(RESOLVE_MODE) || 'default';
  if (mode === 'default' || mode === 'pull' || mode === 'local') return mode;
  throw new TsbuildError('TSB_LLB', `invalid resolvemode: ${JSON.stringify(sanitizeLine(mode, 100))}`);
}

/** The image of a source op, and what names its files in keys. */
async function findImage(
  session: Session,
  task: Task,
  names: BridgeNames,
  source: {
    readonly identifier: string;
    readonly platform: string;
    readonly attrs: ReadonlyMap<string, string>;
    readonly shown: Shown;
  },
  pull: boolean,
): Promise<ImageLayers> {
  const { identifier, platform, attrs, shown } = source;
  const text = identifier.slice(identifier.indexOf('://') + 3);
  const store = attrs.get('oci.store');
  const reference = identifier.startsWith('oci-layout://')
    ? (layoutReference(names, { ociLayout: store ?? '', reference: text }) ??
      `oci-layout://${parseLayoutReference(identifier).path}`)
    : text;
  const image = await session.images
    .resolve(task, reference, platform === '' ? hostPlatform() : parsePlatform(platform), {
      mode: pull ? 'pull' : resolveModeOf(attrs),
    })
    .catch((error: unknown) => {
      throw withImageHint(error, session.store, reference);
    });
  checkImageDigest(attrs, image);
  const layers = session.layers.adopt(image, shown);
  return { manifestDigest: image.manifestDigest, chainId: layers.at(-1) ?? 'scratch', layers };
}

/** Brings blobs of registries, and of the layouts that the build was given. */
export function blobFetcher(session: Session, names: BridgeNames): Origins['blob'] {
  return async (task, { identifier, attrs }, digest, vertex) => {
    const text = identifier.slice(identifier.indexOf('://') + 3);
    if (identifier.startsWith('oci-layout+blob://'))
      return session.images.fetchBlob(task, { layout: layoutOf(names, attrs.get('oci.store') ?? '') }, digest, vertex);
    const { host, path, tag } = parseReference(text);
    if (tag !== undefined)
      throw new TsbuildError(
        'TSB_LLB',
        `Cannot use blob ${JSON.stringify(text)}: tagged image reference not allowed for blob reference`,
      );
    return session.images.fetchBlob(task, { host, path }, digest, vertex);
  };
}
