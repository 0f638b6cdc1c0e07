import { openSession, type PushedImage, pushStored } from '../../engine/index.ts';
import {
  type Compression,
  familiarReference,
  parsePlatform,
  parseReference,
  type Reference,
} from '../../image/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { type RegistryFlags, registryOptions } from '../options/registry-flags.ts';
import { sessionOptions } from '../session-options.ts';
import { startProgress, writeResult } from '../building/build-display.ts';

/** Options of `push` as commander gives them. */
export interface PushOptions extends RegistryFlags {
  readonly allTags?: boolean;
  readonly allPlatforms?: boolean;
  readonly platform?: string;
  readonly quiet?: boolean;
  readonly digestfile?: string;
  readonly compression?: string;
  readonly compressionFormat?: string;
  readonly compressionLevel?: string;
  readonly progress: string;
}

const COMPRESSIONS: ReadonlyMap<string, Compression> = new Map([
  ['gzip', 'gzip'],
  ['zstd', 'zstd'],
  ['none', 'none'],
  ['uncompressed', 'none'],
]);

/** `tsbuild push` */
export async function pushCommand(
  context: CliContext,
  name: string,
  dest: string | undefined,
  options: PushOptions,
): Promise<number> {
  const target = dest === undefined ? undefined : parseDestination(dest);
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  if (platform !== undefined && options.allPlatforms)
    throw new TsbuildError('TSB_USAGE', 'Cannot push one platform and all platforms', {
      hint: 'leave out --platform or --all-platforms',
    });
  const form = parseForm(options);
  const host = (target ?? hostOf(name))?.host;
  using interrupt = interruptible();
  const progress = startProgress(context, { progress: options.progress, quiet: options.quiet ?? false }, 'Pushing');
  let pushed: readonly PushedImage[];
  try {
    await using session = openSession({
      ...sessionOptions(context, interrupt.signal),
      ...registryOptions(context, options, host),
    });
    const task = { signal: interrupt.signal, events: progress.events.bind(progress) };
    pushed = await pushStored(session, task, {
      name,
      ...(target === undefined ? {} : { dest: target }),
      ...(options.allTags ? { allTags: true } : {}),
      ...(platform === undefined ? {} : { platform }),
      ...(form === undefined ? {} : { form }),
    });
  } finally {
    await progress.close();
  }
  if (options.digestfile !== undefined)
    writeResult(context, options.digestfile, pushed.map(({ digest }) => digest).join('\n'));
  const lines = pushed.map(({ reference, digest }) => `${familiarReference(reference)}@${digest}\n`);
  await print(context, lines.join(''));
  return 0;
}

/** Where an image goes: a name, as skopeo and podman write it too. @throws TsbuildError `TSB_USAGE` */
function parseDestination(text: string): Reference {
  const transport = /^(containers-storage|dir|docker-archive|docker-daemon|oci|oci-archive|ostree):/.exec(text)?.[1];
  if (transport !== undefined && !/^[a-z-]+:\d+\//.test(text))
    throw new TsbuildError('TSB_USAGE', `Cannot push to ${JSON.stringify(text)}: only registries are pushed to`, {
      hint: `archives and layouts are written by "tsbuild copy NAME oci-archive:FILE", docker-archive:FILE or oci:DIR`,
    });
  const reference = parseReference(text.replace(/^docker:\/\//, ''));
  if (reference.digest !== undefined)
    throw new TsbuildError('TSB_USAGE', `Cannot push to ${JSON.stringify(text)}: a digest cannot be chosen`, {
      hint: 'write a tag, or nothing',
    });
  return reference;
}

/** The registry that a name is of; undefined for an id. */
function hostOf(name: string): Reference | undefined {
  return /^(?:sha256:)?[0-9a-f]{64}$/.test(name) ? undefined : parseReference(name);
}

/** `--compression`, which podman calls `--compression-format`. @throws TsbuildError `TSB_USAGE` */
function parseForm(options: PushOptions): { readonly kind: Compression; readonly level?: number } | undefined {
  const text = options.compression ?? options.compressionFormat;
  if (text === undefined && options.compressionLevel === undefined) return undefined;
  const kind = COMPRESSIONS.get(text ?? 'gzip');
  if (kind === undefined)
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot use --compression ${JSON.stringify(text)}: expected gzip, zstd or none`,
    );
  const level = options.compressionLevel;
  if (level === undefined || kind === 'none') return { kind };
  const most = kind === 'zstd' ? 22 : 9;
  if (!/^\d{1,2}$/.test(level) || Number(level) > most)
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot use --compression-level ${JSON.stringify(level)}: expected 0 to ${most}`,
    );
  return { kind, level: Number(level) };
}
