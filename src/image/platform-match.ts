import type { ImageConfig } from './config.ts';
import { type Descriptor, isIndexType, isManifestType } from './descriptor.ts';
import { isAttestation } from './annotations.ts';
import type { ImageIndex } from './manifest.ts';
import { formatPlatform, normalizePlatform, type Platform } from './platform.ts';

/**
 * The entries of an index that can serve a platform, best first: exact matches, then what the machine can run as well
 * (containerd's platform vector: lower variants, 386 on amd64, 32-bit arm on arm64), then entries that do not say what
 * they are for, nested indexes among them. Of equals the first in the document wins. Attestations never match.
 */
export function selectManifests(index: ImageIndex, wanted: Platform): Descriptor[] {
  const entries = index.manifests.filter(isImage);
  const vector = platformVector(wanted).map(formatPlatform);
  const matches = entries
    .map((entry) => ({ entry, rank: vector.indexOf(platformText(entry)) }))
    .filter(({ entry, rank }) => rank !== -1 && matchesVersion(entry, wanted));
  // Array.prototype.sort is stable.
  const ranked = matches.sort((a, b) => a.rank - b.rank).map(({ entry }) => entry);
  return [...ranked, ...entries.filter(({ platform }) => platform === undefined)];
}

/** The platforms that an index has images for, for messages. */
export function availablePlatforms(index: ImageIndex): string[] {
  return [...new Set(index.manifests.filter(isImage).map(platformText))].filter((text) => text !== '').sort();
}

/** Whether an image with this config runs where `wanted` runs. */
export function runsOn({ os, architecture, variant }: ImageConfig, wanted: Platform): boolean {
  const own = formatPlatform(normalizePlatform({ os, architecture, ...(variant ? { variant } : {}) }));
  return platformVector(wanted).some((candidate) => formatPlatform(candidate) === own);
}

function isImage(descriptor: Descriptor): boolean {
  const { mediaType } = descriptor;
  return (isIndexType(mediaType) || isManifestType(mediaType)) && !isAttestation(descriptor);
}

function platformText({ platform }: Descriptor): string {
  return platform === undefined ? '' : formatPlatform(normalizePlatform(platform));
}

/** Windows images run on the build they were made for. */
function matchesVersion({ platform }: Descriptor, wanted: Platform): boolean {
  const version = platform?.['os.version'];
  if (wanted.osVersion === undefined || version === undefined) return true;
  return version.split('.').slice(0, 3).join('.') === wanted.osVersion.split('.').slice(0, 3).join('.');
}

/** What can run where `wanted` runs, best first. */
export function platformVector(wanted: Platform): Platform[] {
  const { os, architecture, variant } = normalizePlatform(wanted);
  const below = (architecture: string, from: number, to: number): Platform[] =>
    Array.from({ length: Math.max(0, from - to + 1) }, (_, index) => ({
      os,
      architecture,
      variant: `v${from - index}`,
    }));
  const itself = { os, architecture, ...(variant === undefined ? {} : { variant }) };
  // Dockerfiles name variants, too: what no machine has, such as v4294967295, has none below it.
  const version = Number(/^v(\d{1,2})$/.exec(variant ?? '')?.[1] ?? 0);
  switch (architecture) {
    case 'amd64':
      return [
        ...(variant === undefined ? [] : [itself]),
        ...below('amd64', version - 1, 2),
        { os, architecture },
        { os, architecture: '386' },
      ];
    case 'arm':
      return [itself, ...below('arm', version - 1, 5)];
    case 'arm64':
      return [...(variant === undefined ? [] : [itself]), { os, architecture }, ...below('arm', 8, 5)];
    default:
      return [itself];
  }
}
