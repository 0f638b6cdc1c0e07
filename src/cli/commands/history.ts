import { locateImage, openSession } from '../../engine/index.ts';
import { historyOf, instructionOf, selectImage } from '../../inspect/index.ts';
import { hostPlatform, parsePlatform } from '../../image/index.ts';
import type { Task } from '../../events/index.ts';
import { formatBytes, hexOf } from '../../util/index.ts';
import { type CliContext, interruptible, printForeign } from '../context.ts';
import { formatList } from '../lists/format-list.ts';
import type { RegistryFlags } from '../options/registry-flags.ts';
import { registrySession } from '../registry-session.ts';
import { spanAgo } from '../lists/span-text.ts';
import { shorten } from '../lists/table.ts';

/** Options of `tsbuild history`. */
export interface HistoryOptions extends RegistryFlags {
  readonly format?: string;
  readonly trunc?: boolean;
  readonly quiet?: boolean;
  readonly human?: boolean;
  readonly platform?: string;
  readonly remote?: boolean;
}

/** `tsbuild history`: the newest step first, as docker has it. Sizes are those of the layers' blobs. */
export async function historyCommand(context: CliContext, name: string, options: HistoryOptions): Promise<number> {
  using interrupt = interruptible();
  const task: Task = { signal: interrupt.signal, events: () => undefined };
  await using session = openSession(registrySession(context, interrupt.signal, options, name));
  const { remote = false } = options;
  using found = await locateImage(session, task, name, { cwd: context.cwd, remote, verb: 'show the history of' });
  const { provider, root, what } = found;
  const platform = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform);
  const { image } = await selectImage(provider, root, { platform, asked: options.platform !== undefined, what });
  const steps = historyOf(image).toReversed();
  const id = image.manifest.config.digest;
  const isWhole = options.trunc === false;
  const rows = steps.map(({ entry, layer }, index) => {
    const by = isWhole ? (entry.created_by ?? '') : shorten(instructionOf(entry), 45);
    const time = entry.created === undefined ? Number.NaN : Date.parse(entry.created);
    const age = Number.isNaN(time) ? 'N/A' : spanAgo(context.now() - time);
    const human = options.human ?? true;
    return {
      // Steps before the last one have no image of their own.
      ID: index === 0 ? (isWhole ? id : hexOf(id).slice(0, 12)) : '<missing>',
      CreatedSince: age,
      CreatedAt: entry.created ?? '',
      CreatedBy: by,
      Size: human ? formatBytes(layer?.size ?? 0) : String(layer?.size ?? 0),
      Comment: entry.comment ?? '',
    };
  });
  if (options.quiet) await printForeign(context, rows.map(({ ID }) => `${ID}\n`).join(''));
  else
    await printForeign(
      context,
      formatList(options.format, {
        columns: [
          ['IMAGE', 'ID'],
          ['CREATED', options.human === false ? 'CreatedAt' : 'CreatedSince'],
          ['CREATED BY', 'CreatedBy'],
          ['SIZE', 'Size'],
          ['COMMENT', 'Comment'],
        ],
        headers: { CreatedAt: 'CREATED AT', CreatedSince: 'CREATED' },
        rows,
        json: steps.map(({ entry, layer }, index) => ({
          id: index === 0 ? id : '<missing>',
          created: entry.created ?? '',
          createdBy: entry.created_by ?? '',
          comment: entry.comment ?? '',
          size: layer?.size ?? 0,
          ...(layer === undefined ? {} : { layer: layer.digest }),
        })),
      }),
    );
  return 0;
}
