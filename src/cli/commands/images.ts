import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { openSession } from '../../engine/index.ts';
import {
  type ImageListEntry,
  importArchive,
  importDirectory,
  listImages,
  parseNames,
  removeImages,
  saveImages,
  tagImage,
  untagImage,
} from '../../exporter/index.ts';
import { formatBytes, fromErrno, hexOf, parseEpoch } from '../../util/index.ts';
import { familiarReference, hostPlatform, parseReference } from '../../image/index.ts';
import type { Task } from '../../events/index.ts';
import { type CliContext, interruptible, print, printForeign } from '../context.ts';
import { formatList } from '../lists/format-list.ts';
import { parseImageFilters } from '../options/image-filters.ts';
import { sessionOptions } from '../session-options.ts';
import { spanAgo } from '../lists/span-text.ts';
import { reportError } from '../report.ts';

const quietTask = (signal: AbortSignal): Task => ({ signal, events: () => undefined });

/** Options of `tsbuild images`. */
interface ImagesOptions {
  readonly format?: string;
  readonly quiet?: boolean;
  readonly digests?: boolean;
  readonly trunc?: boolean;
  readonly filter?: readonly string[];
}

/** `tsbuild images` */
export async function imagesCommand(
  context: CliContext,
  name: string | undefined,
  options: ImagesOptions,
): Promise<number> {
  using interrupt = interruptible();
  await using session = openSession(sessionOptions(context, interrupt.signal));
  const all = listImages(session.store);
  const accepts = parseImageFilters(options.filter ?? [], all, context.now());
  const images = all.filter(
    (image) => (name === undefined || image.familiar.includes(name) || image.name.includes(name)) && accepts(image),
  );
  if (options.quiet) await print(context, images.map((image) => `${image.id ?? image.digest}\n`).join(''));
  else await printForeign(context, imagesText(images, options, context.now()));
  return 0;
}

function imagesText(images: readonly ImageListEntry[], { format, digests, trunc }: ImagesOptions, now: number): string {
  const rows = images.map((image) => {
    const id = image.id ?? image.digest;
    const { host, path, tag } = parseReference(image.name);
    const made = image.created === undefined ? Number.NaN : Date.parse(image.created);
    return {
      Image: image.familiar,
      Repository: familiarReference({ host, path }),
      // One that was asked for by its digest has none.
      Tag: tag ?? '<none>',
      ID: trunc === false ? id : hexOf(id).slice(0, 12),
      Digest: image.digest,
      Platform: image.platforms.join(','),
      CreatedSince: Number.isNaN(made) ? '' : spanAgo(now - made),
      CreatedAt: image.created ?? '',
      Size: formatBytes(image.size),
    };
  });
  return formatList(format, {
    columns: [
      ['IMAGE', 'Image'],
      ...(digests ? ([['DIGEST', 'Digest']] as const) : []),
      ['ID', 'ID'],
      ['PLATFORM', 'Platform'],
      ['CREATED', 'CreatedSince'],
      ['SIZE', 'Size'],
    ],
    headers: { Repository: 'REPOSITORY', Tag: 'TAG', Digest: 'DIGEST', CreatedAt: 'CREATED AT' },
    rows,
    json: images,
  });
}

/** `tsbuild rmi` */
export async function rmiCommand(
  context: CliContext,
  names: readonly string[],
  options: { readonly force?: boolean },
): Promise<number> {
  using interrupt = interruptible();
  await using session = openSession({ ...sessionOptions(context, interrupt.signal), makeRoom: true });
  const { removed, refused } = removeImages(session.store, names, options);
  await print(context, removed.map((name) => `Untagged: ${name}\n`).join(''));
  for (const error of refused) await reportError(context, error);
  return refused.length === 0 ? 0 : 1;
}

/** `tsbuild tag` */
export async function tagCommand(context: CliContext, source: string, targets: readonly string[]): Promise<number> {
  using interrupt = interruptible();
  await using session = openSession(sessionOptions(context, interrupt.signal));
  tagImage(session.store, session.lease, source, targets);
  return 0;
}

/** `tsbuild untag` */
export async function untagCommand(context: CliContext, source: string, names: readonly string[]): Promise<number> {
  using interrupt = interruptible();
  await using session = openSession(sessionOptions(context, interrupt.signal));
  const removed = untagImage(session.store, source, names);
  await print(context, removed.map((name) => `Untagged: ${name}\n`).join(''));
  return 0;
}

/** `tsbuild import` */
export async function importCommand(
  context: CliContext,
  path: string,
  name: string | undefined,
  options: { readonly tag?: readonly string[] },
): Promise<number> {
  using interrupt = interruptible();
  await using session = openSession(sessionOptions(context, interrupt.signal));
  const task = quietTask(interrupt.signal);
  const absolute = resolve(context.cwd, path);
  const names = parseNames([...(name === undefined ? [] : [name]), ...(options.tag ?? [])]);
  const epoch = parseEpoch(context.env['SOURCE_DATE_EPOCH']);
  const common = {
    store: session.store,
    lease: session.lease,
    platform: hostPlatform(),
    ...(names.length === 0 ? {} : { names }),
    ...(epoch === undefined ? {} : { epoch }),
  };
  const imported =
    path === '-'
      ? await importArchive(
          task,
          { stream: context.stdin as AsyncIterable<Uint8Array>, name: 'standard input' },
          common,
        )
      : isDirectory(absolute, path)
        ? await importDirectory(task, absolute, common)
        : await importArchive(task, { path: absolute }, common);
  for (const image of imported)
    await print(context, `${image.names.join(', ') || '<no name>'}  ${image.descriptor.digest}\n`);
  return 0;
}

function isDirectory(path: string, typed: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw fromErrno(error, `Cannot import ${JSON.stringify(typed)}`, 'TSB_NOT_FOUND');
  }
}

/** `tsbuild save` */
export async function saveCommand(
  context: CliContext,
  names: readonly string[],
  options: { readonly output?: string; readonly format: 'oci' | 'docker' },
): Promise<number> {
  using interrupt = interruptible();
  await using session = openSession(sessionOptions(context, interrupt.signal));
  await saveImages(quietTask(interrupt.signal), {
    store: session.store,
    names,
    format: options.format,
    dest: options.output === undefined || options.output === '-' ? '-' : resolve(context.cwd, options.output),
    stdout: context.stdout,
  });
  return 0;
}
