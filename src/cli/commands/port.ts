import { isLive, readPorts } from '../../containers/index.ts';
import { portName } from '../../network/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { type CliContext, printForeign } from '../context.ts';
import { hostAddress } from '../options/container-network.ts';
import { withContainers } from '../containers/each-container.ts';

/** `tsbuild port`: where the ports of a container are published, or one of them (`80`, `53/udp`). */
export async function portCommand(context: CliContext, name: string, wanted: string | undefined): Promise<number> {
  return withContainers(context, async ({ containers }) => {
    const container = containers.find(name);
    const ports = isLive(await containers.state(container)) ? readPorts(container) : [];
    if (wanted === undefined) {
      await printForeign(context, ports.map((port) => `${portName(port)} -> ${hostAddress(port)}\n`).join(''));
      return 0;
    }
    const asked = wanted.includes('/') ? wanted.toLowerCase() : `${wanted}/tcp`;
    const found = ports.filter((port) => portName(port) === asked);
    if (found.length === 0)
      throw new TsbuildError(
        'TSB_NOT_FOUND',
        `Cannot tell where ${asked} of ${container.name} is: it is not published`,
      );
    await printForeign(context, found.map((port) => `${hostAddress(port)}\n`).join(''));
    return 0;
  });
}
