import { commitContainer } from '../../engine/index.ts';
import { parseNames } from '../../exporter/index.ts';
import { parseEpoch } from '../../util/index.ts';
import { type CliContext, print } from '../context.ts';
import { withContainers } from '../containers/each-container.ts';

/** Options of `commit`. */
export interface CommitOptions {
  readonly author?: string;
  readonly change?: readonly string[];
  readonly message?: string;
  readonly pause?: boolean;
}

/** `tsbuild commit`: prints the id of the image. */
export async function commitCommand(
  context: CliContext,
  name: string,
  image: string | undefined,
  { author, change = [], message, pause = true }: CommitOptions,
): Promise<number> {
  const names = image === undefined ? [] : parseNames([image]);
  const epoch = parseEpoch(context.env['SOURCE_DATE_EPOCH']);
  return withContainers(context, async ({ session, containers, signal }) => {
    const task = { signal, events: () => undefined };
    const id = await commitContainer(session, task, containers.find(name), {
      names,
      changes: change,
      pause,
      ...(author === undefined ? {} : { author }),
      ...(message === undefined ? {} : { message }),
      ...(epoch === undefined ? {} : { epoch }),
    });
    await print(context, `${id}\n`);
    return 0;
  });
}
