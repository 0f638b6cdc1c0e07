import { isLive, readPorts } from '../../containers/index.ts';
import { portName, type PublishedPort } from '../../network/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { type CliContext, printForeign } from '../context.ts';
import { hostAddress } from '../options/container-network.ts';
import { withContainers } from '../containers/each-container.ts';
import { naturalOrder } from '../lists/natural-order.ts';

/** `tsbuild port`: where the ports of a container are published, or one of them (`80`, `53/udp`). */
export async function portCommand(context: CliContext, name: string, wanted: string | undefined): Promise<number> {
  return withContainers(context, async ({ containers }) => {
    const container = containers.find(name);
    const ports = isLive(await containers.state(container)) ? readPorts(container) : [];
    const asked = wanted === undefined || wanted.includes('/') ? wanted?.toLowerCase() : `${wanted}/tcp`;
    const lines = portLines(ports, asked);
    if (lines.length === 0 && asked !== undefined)
      throw new TsbuildError(
        'TSB_NOT_FOUND',
        `Cannot tell where ${asked} of ${container.name} is: it is not published`,
      );
    await printForeign(context, lines.map((line) => `${line}\n`).join(''));
    return 0;
  });
}

/** Lines about ports, or the addresses of one (`80/tcp`), in docker's order. */
export function portLines(ports: readonly PublishedPort[], one?: string): readonly string[] {
  const lines =
    one === undefined
      ? ports.map((port) => `${portName(port)} -> ${hostAddress(port)}`)
      : ports.filter((port) => portName(port) === one).map(hostAddress);
  return lines.toSorted(naturalOrder);
}
