import { type Containers, isLive, mendNetworks } from '../../containers/index.ts';
import { measureContainers, networkMaker, type Session } from '../../engine/index.ts';
import { isTsbuildError, TsbuildError } from '../../util/index.ts';
import { namesStates, parseContainerFilters } from '../containers/container-filters.ts';
import { containerRow } from '../containers/container-rows.ts';
import { type CliContext, printForeign } from '../context.ts';
import { withContainers } from '../containers/each-container.ts';
import { formatList } from '../lists/format-list.ts';

/** Options of `ps`. */
export interface PsOptions {
  readonly all?: boolean;
  readonly quiet?: boolean;
  readonly filter?: readonly string[];
  readonly format?: string;
  readonly last?: string;
  readonly latest?: boolean;
  readonly trunc?: boolean;
  readonly size?: boolean;
}

/** `tsbuild ps` */
export async function psCommand(context: CliContext, options: PsOptions): Promise<number> {
  const { filter = [], latest, trunc = true } = options;
  const last = latest ? 1 : parseLast(options.last);
  return withContainers(context, async ({ session, containers, signal }) => {
    await mend(session, containers);
    const test = parseContainerFilters(filter, (name) => containers.find(name));
    const known = await Promise.all(
      containers.list().map(async (container) => ({ container, state: await containers.state(container) })),
    );
    const everything = options.all || last !== undefined || namesStates(filter);
    const shown = known
      .filter(({ container, state }) => (everything || isLive(state)) && test(container, state))
      .slice(0, last ?? Infinity);
    const sized = wantsSizes(options);
    const sizes = sized
      ? await measureContainers(
          session,
          shown.map(({ container }) => container),
          signal,
        )
      : [];
    const rows = shown.map(({ container, state }, at) =>
      containerRow(container, state, { now: context.now(), full: !trunc, size: sizes[at] }),
    );
    if (options.quiet) {
      await printForeign(context, rows.map(({ ID }) => `${ID}\n`).join(''));
      return 0;
    }
    const text = formatList(options.format, {
      columns: [
        ['CONTAINER ID', 'ID'],
        ['IMAGE', 'Image'],
        ['COMMAND', 'Command'],
        ['CREATED', 'RunningFor'],
        ['STATUS', 'Status'],
        ['PORTS', 'Ports'],
        ['NAMES', 'Names'],
        ...(options.size ? ([['SIZE', 'Size']] as const) : []),
      ],
      headers: { CreatedAt: 'CREATED AT' },
      rows,
      json: rows,
    });
    await printForeign(context, text);
    return 0;
  });
}

/** Whether somebody looks at the sizes, which take a walk through all files: as with docker, a template that names them asks for them. */
function wantsSizes({ size = false, quiet = false, format = '' }: PsOptions): boolean {
  return !quiet && (size || /\.Size\b/.test(format));
}

/** As with docker, 0 and less are no number: all that run are listed then. @throws TsbuildError `TSB_USAGE` */
function parseLast(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^-?\d{1,9}$/.test(text))
    throw new TsbuildError('TSB_USAGE', `Cannot use --last ${JSON.stringify(text)}: expected a number`);
  return Number(text) > 0 ? Number(text) : undefined;
}

/** Starts what was killed of networks. Where that cannot be, the list is as true as before. */
async function mend(session: Session, containers: Containers): Promise<void> {
  if (!containers.list().some(({ record }) => record.networks !== undefined)) return;
  try {
    await mendNetworks(await networkMaker(session));
  } catch (error) {
    if (!isTsbuildError(error)) throw error;
  }
}
