import { familiarReference, type ImageManifestNode, parseReference } from '../image/index.ts';
import type { SelectedImage } from './select-image.ts';

/** What is known of an image besides its documents. */
export interface ImageNames {
  /** Normalised. */
  readonly names: readonly string[];
  /** ms since the epoch. */
  readonly namedAt?: number;
}

/**
 * An image as `docker image inspect` and `skopeo inspect` describe it, under their names: those of the former first. Objects with keys of the
 * image's own are maps. Sizes are bytes of blobs, as they are pushed and pulled.
 */
export type ImageSummary = Readonly<Record<string, unknown>>;

/** The summary of one image of those under a name. @param root the index, or the manifest where there is none */
export function summarize(
  { image, platforms }: SelectedImage,
  root: { readonly digest: string },
  names: ImageNames,
): ImageSummary {
  const { config, manifest } = image;
  const familiar = names.names.map((name) => familiarReference(parseReference(name)));
  const repositories = new Set(names.names.map((name) => repositoryOf(name)));
  return {
    Id: manifest.config.digest,
    RepoTags: familiar.filter((name) => !name.includes('@')),
    RepoDigests: [...repositories].map((name) => `${name}@${root.digest}`),
    Parent: '',
    Comment: config.history.at(-1)?.comment ?? '',
    Created: config.created ?? '',
    Author: config.author ?? '',
    Config: configOf(image),
    Architecture: config.architecture,
    Variant: config.variant ?? '',
    Os: config.os,
    OsVersion: config['os.version'] ?? '',
    Size: sizeOf(image),
    RootFS: { Type: 'layers', Layers: config.rootfs.diff_ids },
    Metadata: { LastTagTime: names.namedAt === undefined ? '' : new Date(names.namedAt).toISOString() },
    Descriptor: { mediaType: image.descriptor.mediaType, digest: image.descriptor.digest, size: image.descriptor.size },
    Name: names.names[0] === undefined ? '' : repositoryOf(names.names[0], true),
    Digest: root.digest,
    Labels: mapOf(config.config.Labels),
    Env: config.config.Env ?? [],
    Layers: manifest.layers.map(({ digest }) => digest),
    LayersData: manifest.layers.map(({ mediaType, digest, size, annotations }) => ({
      MIMEType: mediaType,
      Digest: digest,
      Size: size,
      Annotations: mapOf(annotations),
    })),
    Annotations: mapOf(manifest.annotations),
    Platforms: platforms,
    History: config.history.map((entry) => ({
      created: entry.created ?? '',
      created_by: entry.created_by ?? '',
      author: entry.author ?? '',
      comment: entry.comment ?? '',
      empty_layer: entry.empty_layer ?? false,
    })),
  };
}

/** Bytes of the config and the layers, each once. */
function sizeOf({ manifest }: ImageManifestNode): number {
  const sizes = new Map([manifest.config, ...manifest.layers].map(({ digest, size }) => [digest, size]));
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

function repositoryOf(name: string, whole = false): string {
  const { host, path } = parseReference(name);
  return whole ? `${host}/${path}` : familiarReference({ host, path });
}

/** Every key of docker's, so that a format can name those that an image leaves out. */
function configOf({ config: { config } }: ImageManifestNode): Readonly<Record<string, unknown>> {
  const health = config.Healthcheck;
  return {
    User: config.User ?? '',
    ExposedPorts: mapOf(config.ExposedPorts),
    Env: config.Env ?? [],
    Cmd: config.Cmd ?? null,
    Entrypoint: config.Entrypoint ?? null,
    Volumes: mapOf(config.Volumes),
    WorkingDir: config.WorkingDir ?? '',
    Labels: mapOf(config.Labels),
    StopSignal: config.StopSignal ?? '',
    Shell: config.Shell ?? null,
    OnBuild: config.OnBuild ?? null,
    ArgsEscaped: config.ArgsEscaped ?? false,
    Healthcheck: health === undefined ? null : { ...health },
  };
}

function mapOf(value: Readonly<Record<string, unknown>> | undefined): ReadonlyMap<string, unknown> | null {
  return value === undefined ? null : new Map(Object.entries(value));
}
