import { StepDevices, withDevices } from '../../ops/index.ts';
import { TsbuildError } from '../../util/index.ts';
import type { Session } from '../session.ts';
import type { NewContainer } from './containers.ts';

/**
 * What runs in a container that gets devices of the machine by their names (CDI): with their variables, nodes, mounts and groups, which
 * replace what the user has said of the same ones, as with docker.
 * @param names as `DeviceCatalog.find` takes them
 * @throws TsbuildError `TSB_STEP` for a device that the machine does not have, or that cannot be given
 */
export async function withNamedDevices(
  session: Session,
  wanted: NewContainer['process'],
  names: readonly string[],
): Promise<NewContainer['process']> {
  if (names.length === 0) return wanted;
  const { how } = await session.plan();
  if (how === 'none')
    throw new TsbuildError(
      'TSB_SANDBOX',
      `Cannot give device ${JSON.stringify(names[0])} to the container: this machine allows no namespaces, and nothing can be mounted`,
      { hint: '"tsbuild doctor" says what would lift the limit' },
    );
  // Who types the name grants it.
  const devices = new StepDevices({ all: true, names: new Set(), aliases: new Map() }, () => session.devices());
  const found = await devices.resolve(names.map((name) => ({ name, optional: false })));
  const { env = [], mounts = [], groups = [] } = wanted;
  return { ...wanted, ...withDevices({ env, mounts, groups }, found, session.options.onWarning, 'container') };
}
