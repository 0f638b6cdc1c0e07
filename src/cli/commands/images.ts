import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { openSession } from '../../engine/index.ts';
import {
  importArchive,
  importDirectory,
  listImages,
  parseNames,
  removeImages,
  saveImages,
  tagImage,
  untagImage,
} from '../../exporter/index.ts';
import { formatBytes, fromErrno, hexOf } from '../../util/index.ts';
import { hostPlatform } from '../../image/index.ts';
import type { Task } from '../../events/index.ts';
import { parseEpoch } from '../build-request.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { sessionOptions } from '../session-options.ts';
import { formatAge, formatTable } from '../table.ts';

const quietTask = (signal: AbortSignal): Task => ({ signal, events: () => undefined });

/** `tsbuild images` */
export async function imagesCommand(
  context: CliContext,
  name: string | undefined,
  options: { readonly format: 'table' | 'json'; readonly quiet?: boolean },
): Promise<number> {
  using interrupt = interruptible();
  await using session = openSession(sessionOptions(context, interrupt.signal));
  const images = listImages(session.store).filter(
    (image) => name === undefined || image.familiar.includes(name) || image.name.includes(name),
  );
  if (options.quiet) await print(context, images.map((image) => `${image.id ?? image.digest}\n`).join(''));
  else if (options.format === 'json') await print(context, `${JSON.stringify(images, undefined, 2)}\n`);
  else {
    const rows = images.map((image) => [
      image.familiar,
      hexOf(image.id ?? image.digest).slice(0, 12),
      image.platforms.join(','),
      image.created === undefined ? '' : formatAge(context.now() - Date.parse(image.created)),
      formatBytes(image.size),
    ]);
    await print(context, formatTable(['IMAGE', 'ID', 'PLATFORM', 'CREATED', 'SIZE'], rows));
  }
  return 0;
}

/** `tsbuild rmi` */
export async function rmiCommand(context: CliContext, names: readonly string[]): Promise<number> {
  using interrupt = interruptible();
  await using session = openSession({ ...sessionOptions(context, interrupt.signal), makeRoom: true });
  const removed = removeImages(session.store, names);
  await print(context, removed.map((name) => `Untagged: ${name}\n`).join(''));
  return 0;
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
  options: { readonly tag?: readonly string[] },
): Promise<number> {
  using interrupt = interruptible();
  await using session = openSession(sessionOptions(context, interrupt.signal));
  const task = quietTask(interrupt.signal);
  const absolute = resolve(context.cwd, path);
  const names = parseNames(options.tag ?? []);
  const epoch = context.env['SOURCE_DATE_EPOCH'];
  const common = {
    store: session.store,
    lease: session.lease,
    platform: hostPlatform(),
    ...(names.length === 0 ? {} : { names }),
    ...(epoch ? { epoch: parseEpoch(epoch) } : {}),
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
