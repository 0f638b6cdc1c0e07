import { Networks } from '../../containers/index.ts';
import { TsbuildError } from '../../util/index.ts';
import type { CliContext } from '../context.ts';
import { eachContainer, withContainers } from '../containers/each-container.ts';
import { removeNetworks } from './network.ts';
import { remove } from './rm.ts';
import { stop } from './stop.ts';

/** Options of `down`. */
export interface DownOptions {
  readonly scope?: string;
  readonly time?: string;
}

/** `tsbuild down`: stops and removes all containers of a scope, side by side, with their volumes without a name, and then its networks. */
export async function downCommand(context: CliContext, options: DownOptions): Promise<number> {
  const scope = options.scope ?? context.env['TSBUILD_SCOPE'];
  if (scope === undefined || scope === '')
    throw new TsbuildError('TSB_USAGE', 'Cannot tell which containers are to go: there is no scope', {
      hint: 'name the one that they were made with: --scope ID, or TSBUILD_SCOPE',
    });
  return withContainers(context, async (work) => {
    const own = work.containers.list().filter(({ record }) => record.scope === scope);
    const code = await eachContainer(
      context,
      work,
      own.map(({ id }) => id),
      async (container) => {
        await stop(work, container, options.time === undefined ? {} : { time: options.time });
        await remove(context, work, container, { force: true, volumes: true });
        return container.name;
      },
    );
    const networks = new Networks(work.session.store).list().filter(({ record }) => record.scope === scope);
    return Math.max(code, networks.length === 0 ? 0 : await removeNetworks(context, work, networks));
  });
}
