import { resolve } from 'node:path';
import { idDigits, namesOfId, storedName, unnamedImage } from '../../exporter/index.ts';
import { hostPlatform } from '../../image/index.ts';
import type { Task } from '../../events/index.ts';
import { isTsbuildError, randomHex, statIfThere, TsbuildError } from '../../util/index.ts';
import type { Session } from '../session.ts';
import { meantBy } from './short-names.ts';

/** The reference to resolve, and how to give back a name that was made for the purpose. */
export interface NamedImage {
  readonly reference: string;
  readonly release: () => void;
}

const keep = (): void => undefined;

/**
 * What the image argument of `tsbuild run` and `inspect` means: `oci-archive:FILE`, `docker-archive:FILE`, `oci-layout:DIR[:TAG]`, a path that can be
 * nothing else (`./x.tar`), a name of the local image store, an id, a path, or a name that a registry has, in this order.
 * @throws TsbuildError `TSB_USAGE`, `TSB_NOT_FOUND`, and as `importArchive`
 */
export async function toReference(session: Session, task: Task, name: string, cwd: string): Promise<NamedImage> {
  const archive = /^(?:oci|docker)-archive:(.+)$/.exec(name)?.[1];
  if (archive !== undefined) return importForNow(session, task, resolve(cwd, archive));
  if (name.startsWith('oci-layout://')) return { reference: name, release: keep };
  const layout = /^(?:oci-layout|oci):(.+)$/.exec(name)?.[1];
  if (layout !== undefined) return layoutAt(resolve(cwd, layout));
  const stored = storedReference(session, name);
  if (stored !== undefined) return { reference: stored, release: keep };
  const kind = kindOf(resolve(cwd, name));
  if (kind === 'file') return importForNow(session, task, resolve(cwd, name));
  if (kind === 'directory' || kindOf(resolve(cwd, name.replace(/:[\w.-]+$/, ''))) === 'directory')
    return layoutAt(resolve(cwd, name));
  if (/^\.{0,2}\//.test(name))
    throw new TsbuildError('TSB_NOT_FOUND', `Cannot use ${JSON.stringify(name)}: there is no such file or directory`);
  if (idDigits(name)?.length === 64)
    throw new TsbuildError('TSB_NOT_FOUND', `Cannot use ${JSON.stringify(name)}: no image of the store has this id`, {
      hint: 'list images with "tsbuild images"; one that has no name is gone after "tsbuild prune"',
    });
  return { reference: await meantBy(session, name), release: keep };
}

/** What a name means, where it is one of the local image store, or an id there. */
export function storedReference(session: Session, name: string): string | undefined {
  if (/^\.{0,2}\/|^(oci|docker)-archive:|^oci(-layout)?:/.test(name)) return undefined;
  return byNameOrId(session, name);
}

/** A name of the local image store, or what an id stands for. */
function byNameOrId({ store }: Session, text: string): string | undefined {
  const named = nameOf(() => storedName(store, text));
  if (named !== undefined) return named;
  const [first] = namesOfId(store, text);
  if (first !== undefined) return first;
  const digest = unnamedImage(store, text);
  // Its documents are in the store, which no registry is asked for then.
  return digest === undefined ? undefined : `localhost/unnamed@${digest}`;
}

/** What cannot be a name may still be a path. */
function nameOf(find: () => string | undefined): string | undefined {
  try {
    return find();
  } catch (error) {
    if (isTsbuildError(error, 'TSB_USAGE')) return undefined;
    throw error;
  }
}

/** A directory counts when it is a layout, so that a name of a registry is not taken for a folder that happens to be there. */
function kindOf(path: string): 'file' | 'directory' | undefined {
  const stats = statIfThere(path);
  if (stats?.isDirectory()) return statIfThere(resolve(path, 'oci-layout'))?.isFile() ? 'directory' : undefined;
  return stats?.isFile() ? 'file' : undefined;
}

function layoutAt(path: string): NamedImage {
  return { reference: `oci-layout://${path}`, release: keep };
}

/** Imports an archive under a name that goes again: the lease holds the blobs while they are needed. */
async function importForNow({ store, lease }: Session, task: Task, path: string): Promise<NamedImage> {
  const { importArchive } = await import('../../exporter/index.ts');
  const temporary = `localhost/tsbuild-run:${randomHex(16)}`;
  await importArchive(task, { path }, { store, lease, format: 'image', platform: hostPlatform(), names: [temporary] });
  return { reference: temporary, release: () => void store.images.remove(temporary) };
}
