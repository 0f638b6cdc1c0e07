import { usersOf, type Volume, Volumes } from '../../containers/index.ts';
import { treeRemover } from '../../engine/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { type CliContext, print, printForeign } from '../context.ts';
import { withContainers, type Work } from '../containers/each-container.ts';
import { summarizeVolume } from '../containers/volume-summary.ts';
import { eachName } from '../each-name.ts';
import { formatList } from '../lists/format-list.ts';
import { labelFields } from '../lists/label-fields.ts';
import { naturalOrder } from '../lists/natural-order.ts';
import { inspectTemplate } from '../lists/inspect-format.ts';
import { toJson } from '../go-template/index.ts';
import { booleanFilter, labelFilter, type ListFilter, parseListFilters } from '../options/list-filters.ts';
import { parsePairs } from '../options/options.ts';
import { reportError } from '../report.ts';
import { sessionOptions } from '../session-options.ts';

/** `tsbuild volume create` */
export async function volumeCreateCommand(
  context: CliContext,
  name: string | undefined,
  options: { readonly label?: readonly string[] },
): Promise<number> {
  const labels = Object.fromEntries(parsePairs('--label', options.label ?? [], () => ''));
  return withContainers(context, async ({ session }) => {
    const { idShift } = await session.plan();
    const volume = new Volumes(session.store).ensure(name, idShift, labels, false);
    await print(context, `${volume.name}\n`);
    return 0;
  });
}

/** Options of `volume ls`. */
export interface VolumeLsOptions {
  readonly quiet?: boolean;
  readonly format?: string;
  readonly filter?: readonly string[];
}

/** `tsbuild volume ls` */
export async function volumeLsCommand(context: CliContext, options: VolumeLsOptions): Promise<number> {
  return withContainers(context, async ({ session, containers }) => {
    const all = containers.list();
    const isWanted = parseVolumeFilters(options.filter ?? [], (volume) => usersOf(volume, all).length > 0);
    const rows = new Volumes(session.store)
      .list()
      .filter((volume) => isWanted(volume))
      .map(({ name, directory, created, labels }) => ({
        Driver: 'local',
        Name: name,
        Mountpoint: directory,
        CreatedAt: created,
        Scope: 'local',
        ...labelFields(labels),
      }))
      .toSorted((a, b) => naturalOrder(a.Name, b.Name));
    const text = options.quiet
      ? rows.map(({ Name }) => `${Name}\n`).join('')
      : formatList(options.format, {
          columns: [
            ['DRIVER', 'Driver'],
            ['VOLUME NAME', 'Name'],
          ],
          rows,
          json: rows,
        });
    await printForeign(context, text);
    return 0;
  });
}

function parseVolumeFilters(
  texts: readonly string[],
  isUsed: (volume: Volume) => boolean,
): ListFilter<readonly [volume: Volume]> {
  return parseListFilters<readonly [volume: Volume]>(
    texts,
    {
      name: (value) => (volume) => volume.name.includes(value),
      driver: (value) => () => value === 'local',
      label: labelFilter(({ labels }) => labels),
      dangling: (value, bad) => {
        const wanted = booleanFilter(value, bad);
        return (volume) => isUsed(volume) !== wanted;
      },
    },
    'there are name=, label=NAME[=VALUE], driver= and dangling=true',
  );
}

/** `tsbuild volume inspect` */
export async function volumeInspectCommand(
  context: CliContext,
  names: readonly string[],
  options: { readonly format?: string },
): Promise<number> {
  const template = inspectTemplate(options.format);
  return withContainers(context, async ({ session }) => {
    const volumes = new Volumes(session.store);
    const facts: Readonly<Record<string, unknown>>[] = [];
    const code = await eachName(context, names, async (name) => {
      facts.push(summarizeVolume(volumes.find(name)));
    });
    if (template) for (const each of facts) await printForeign(context, `${template(each)}\n`);
    else await printForeign(context, `${toJson(facts, 4)}\n`);
    return code;
  });
}

/** `tsbuild volume rm` */
export async function volumeRmCommand(
  context: CliContext,
  names: readonly string[],
  options: { readonly force?: boolean },
): Promise<number> {
  return withContainers(context, async (work) => {
    const volumes = new Volumes(work.session.store);
    let code = 0;
    for (const name of names) {
      try {
        if (options.force && volumes.lookUp(name) === undefined) continue;
        await removeVolume(context, work, volumes.find(name));
        await print(context, `${name}\n`);
      } catch (error) {
        await reportError(context, error);
        code = 1;
      }
    }
    return code;
  });
}

/** Removes a volume that no container has. */
export async function removeVolume(context: CliContext, work: Work, volume: Volume): Promise<void> {
  const { session, containers, signal } = work;
  const remover = treeRemover({ ...sessionOptions(context, signal), ...session.options });
  await new Volumes(session.store).remove(volume, containers.list(), remover);
}

/** Options of `volume prune`. */
export interface VolumePruneOptions {
  readonly all?: boolean;
  readonly force?: boolean;
  readonly filter?: readonly string[];
}

/** `tsbuild volume prune`: those without a name, or with `--all` every one, that no container has. */
export async function volumePruneCommand(context: CliContext, options: VolumePruneOptions): Promise<number> {
  if (options.all && !options.force)
    throw new TsbuildError('TSB_USAGE', 'Cannot remove every volume that no container has without --force', {
      hint: 'what is in them cannot be made again; add --force',
    });
  return withContainers(context, async (work) => {
    const all = work.containers.list();
    const isWanted = parseVolumeFilters(options.filter ?? [], () => false);
    const unused = new Volumes(work.session.store)
      .list()
      .filter((volume) => options.all || volume.anonymous)
      .filter((volume) => usersOf(volume, all).length === 0 && isWanted(volume));
    for (const volume of unused) await removeVolume(context, work, volume);
    await print(context, unused.map(({ name }) => `${name}\n`).join(''));
    return 0;
  });
}
