import { hostPlatform, normalizePlatform, type Platform } from '../image/index.ts';
import type { ResolveMode } from '../llb/index.ts';
import type { GatewayHost, ImageConfigAnswer } from './host.ts';
import { decodePolicies } from './policies.ts';
import { CallError, statusCodes } from './status.ts';
import type { PbPlatform, ResolveImageRequest, ResolveSourceRequest } from './types.ts';

const IMAGE = 'docker-image://';
const LAYOUT = 'oci-layout://';

/** `ResolveImageConfig`. */
export async function resolveImage(
  host: GatewayHost,
  request: ResolveImageRequest,
  signal: AbortSignal,
): Promise<object> {
  const { reference, digest, config } = await host.resolveImage(
    {
      reference: request.ref,
      platform: toPlatform(request.platform),
      mode: toMode(request.resolveMode),
      ...(request.resolverType === 1 ? { ociLayout: request.storeId } : {}),
      name: request.logName || `resolve image config for ${IMAGE}${request.ref}`,
      policies: decodePolicies(request.sourcePolicies),
    },
    signal,
  );
  return { ref: reference, digest, config };
}

/** `ResolveSourceMeta`: what an image, a repository or an address stands for now. */
export async function resolveSource(
  host: GatewayHost,
  request: ResolveSourceRequest,
  signal: AbortSignal,
): Promise<object> {
  const { image, http } = request;
  if (request.source === undefined) throw new CallError(statusCodes.invalidArgument, 'source is required');
  if (
    image?.attestationChain ||
    (image?.resolveAttestations.length ?? 0) > 0 ||
    (http?.checksumRequest.length ?? 0) > 0
  )
    throw new CallError(
      statusCodes.unimplemented,
      'tsbuild does not look into attestations or parts of files for a frontend',
    );
  const policies = decodePolicies(request.sourcePolicies);
  const source = host.policed(request.source, policies);
  const { identifier, attrs } = source;
  const name = request.logName || `resolve ${identifier}`;
  if (identifier.startsWith(IMAGE) || identifier.startsWith(LAYOUT)) {
    const isLayout = identifier.startsWith(LAYOUT);
    const found = await host.resolveImage(
      {
        reference: identifier.slice(isLayout ? LAYOUT.length : IMAGE.length),
        platform: toPlatform(request.platform),
        mode: toMode(request.resolveMode),
        ...(isLayout ? { ociLayout: attrs.get('oci.store') ?? '' } : {}),
        name: request.logName || `resolve image config for ${identifier}`,
        policies,
      },
      signal,
    );
    return imageAnswer(request, attrs, found, isLayout ? LAYOUT : IMAGE);
  }
  if (!/^(?:git|https?):\/\//.test(identifier)) return { source };
  const found = await host.resolveSource({ identifier, attrs, name }, signal);
  if (found.kind === 'git')
    return { source, git: { checksum: found.checksum, ref: found.ref, commitChecksum: found.commit } };
  const { checksum, filename, lastModified } = found;
  return {
    source,
    http: {
      checksum,
      filename,
      ...(lastModified === undefined ? {} : { lastModified: { seconds: lastModified, nanos: 0 } }),
    },
  };
}

function imageAnswer(
  request: ResolveSourceRequest,
  attrs: ReadonlyMap<string, string>,
  { reference, digest, config }: ImageConfigAnswer,
  scheme: string,
): object {
  return {
    source: { identifier: `${scheme}${reference}`, attrs },
    image: { digest, config: request.image?.noConfig ? new Uint8Array() : config },
  };
}

/** The platform of a request; without one, this machine's, as a worker of BuildKit takes its own. */
export function toPlatform(platform: PbPlatform | undefined): Platform {
  if (!platform?.os || !platform.architecture) return hostPlatform();
  const { os, architecture, variant, osVersion } = platform;
  return normalizePlatform({ os, architecture, ...(variant ? { variant } : {}), ...(osVersion ? { osVersion } : {}) });
}

/** @throws CallError for a mode that nobody has heard of */
function toMode(text: string): ResolveMode {
  if (text === '' || text === 'default') return 'default';
  if (text === 'pull' || text === 'local') return text;
  throw new CallError(statusCodes.invalidArgument, `invalid resolvemode: ${text.slice(0, 100)}`);
}
