import { parseNames, type StdoutStream } from '../../exporter/index.ts';
import {
  familiarReference,
  formatReference,
  parseReference,
  type Reference,
  type Repository,
} from '../../image/index.ts';
import { type Registry, RepositoryWriter } from '../../registry/index.ts';
import { BlobFetcher } from '../../source/index.ts';
import { type Place, toArchive, toLayout, toRegistry, toStore, type Write } from '../../transfer/index.ts';
import { type Digest, TsbuildError } from '../../util/index.ts';
import type { Session } from '../session.ts';

/** What writing to a place needs. */
export interface TargetOptions {
  readonly registry: Registry;
  readonly stdout: StdoutStream;
  /** Tags or names that the image gets besides. */
  readonly tags: readonly string[];
  /** Where a registry has the image that is copied. */
  readonly from: Repository | undefined;
  readonly vertex: Digest;
}

/** Where a copy goes. */
export interface CopyTarget {
  /** For the screen. */
  readonly shown: string;
  readonly write: Write;
  /** Set for a registry. */
  readonly repository?: Repository;
}

/** @throws TsbuildError `TSB_USAGE` for a place that cannot be written to so */
export function openCopyTarget(session: Session, place: Place, root: Digest, options: TargetOptions): CopyTarget {
  switch (place.kind) {
    case 'registry':
      return registryTarget(session, place.reference, root, options);
    case 'store': {
      const names = parseNames([place.name, ...options.tags.map((tag) => beside(place.name, tag))]);
      const { store, lease, now } = session;
      const fetcher = new BlobFetcher({ store, lease, now });
      return {
        shown: `store:${familiarReference(parseReference(names[0] ?? place.name))}`,
        write: toStore({ store, lease, fetcher, names, vertex: options.vertex }),
      };
    }
    case 'layout':
    case 'archive': {
      const { name, path } = place;
      if (place.digest !== undefined) throw digestChosen(path);
      const names = [...(name === undefined ? [] : [name]), ...options.tags];
      const suffix = name === undefined ? '' : `:${name}`;
      if (place.kind === 'layout') return { shown: `oci:${path}${suffix}`, write: toLayout(path, names) };
      return {
        shown: `${place.form}-archive:${path}${suffix}`,
        write: toArchive({
          path,
          form: place.form,
          // Docker reads whole names; a tag is none.
          names: place.form === 'docker' ? parseNames(names) : names,
          stdout: options.stdout,
        }),
      };
    }
    default:
      return place satisfies never;
  }
}

function registryTarget(
  session: Session,
  reference: Reference,
  root: Digest,
  { registry, from, tags }: TargetOptions,
): CopyTarget {
  const { host, path, tag, digest } = reference;
  if (digest !== undefined && digest !== root) throw digestChosen(formatReference(reference));
  const own = tag ?? (digest === undefined ? 'latest' : undefined);
  const all = [...(own === undefined ? [] : [own]), ...tags.map((name) => tagOf(name, { host, path }))];
  const repository = { host, path };
  return {
    shown: familiarReference({ ...repository, ...(own === undefined ? {} : { tag: own }) }),
    repository,
    write: toRegistry({
      writer: new RepositoryWriter(registry, repository),
      tags: all,
      mountFrom: (blob) => [...(from === undefined ? [] : [from]), ...session.origins.of(blob)],
    }),
  };
}

/** `--additional-tag` is a tag, or a whole name as skopeo has it, which must be one of the same repository. */
function tagOf(name: string, { host, path }: Repository): string {
  const reference = parseReference(/[:/]/.test(name) ? name : `${host}/${path}:${name}`);
  if (
    reference.host === host &&
    reference.path === path &&
    reference.tag !== undefined &&
    reference.digest === undefined
  )
    return reference.tag;
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot use --additional-tag ${JSON.stringify(name)}: it is of another repository`,
    {
      hint: 'copy once more: what is there is not sent again',
    },
  );
}

/** A tag beside a name of the store. */
function beside(name: string, tag: string): string {
  if (/[:/]/.test(tag)) return tag;
  const { host, path } = parseReference(name);
  return formatReference({ host, path, tag });
}

function digestChosen(name: string): TsbuildError {
  return new TsbuildError('TSB_USAGE', `Cannot copy to ${JSON.stringify(name)}: a digest cannot be chosen`, {
    hint: 'write a tag, or nothing',
  });
}
