import { resolve } from 'node:path';
import { isatty } from 'node:tty';
import { exportContainer } from '../../engine/index.ts';
import { openOutput } from '../../files/index.ts';
import { fromErrno, TsbuildError } from '../../util/index.ts';
import type { CliContext } from '../context.ts';
import { withContainers } from '../containers/each-container.ts';

const STANDARD_OUTPUT = 1;

/** `tsbuild export`: a file is replaced when the new one is whole. */
export async function exportCommand(
  context: CliContext,
  name: string,
  { output = '-' }: { readonly output?: string },
): Promise<number> {
  if (output === '-' && isatty(STANDARD_OUTPUT))
    throw new TsbuildError('TSB_USAGE', 'Cannot write an archive to a terminal', { hint: 'name a file: -o FILE' });
  return withContainers(context, async ({ session, containers, signal }) => {
    const container = containers.find(name);
    const task = { signal, events: () => undefined };
    if (output === '-') {
      await exportContainer(session, task, container, STANDARD_OUTPUT);
      return 0;
    }
    try {
      using file = openOutput(resolve(context.cwd, output));
      await exportContainer(session, task, container, file.fd);
      file.commit();
    } catch (error) {
      throw fromErrno(error, `Cannot write ${JSON.stringify(output)}`, 'TSB_EXPORT');
    }
    return 0;
  });
}
