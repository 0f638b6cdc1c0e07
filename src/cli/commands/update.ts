import { type Container, type ContainerUpdate, updateRunning } from '../../containers/index.ts';
import type { ResourceLimits } from '../../limits/index.ts';
import { TsbuildError } from '../../util/index.ts';
import type { CliContext } from '../context.ts';
import { nameEach } from '../containers/each-container.ts';
import { parseRestart } from '../options/container-request.ts';
import { parsePidsLimit, parseResources, type ResourceOptions } from '../options/resource-options.ts';

/** Options of `update` as commander gives them. */
export interface UpdateOptions extends ResourceOptions {
  readonly pidsLimit?: string;
  readonly restart?: string;
}

/** `tsbuild update`: changes limits and the restart policy of containers, also of those that run. */
export async function updateCommand(
  context: CliContext,
  names: readonly string[],
  options: UpdateOptions,
): Promise<number> {
  if (Object.keys(options).length === 0)
    throw new TsbuildError('TSB_USAGE', 'Cannot update: no option says what to change', {
      hint: 'for example --memory 2g, --cpus 1.5, --pids-limit 500 or --restart always',
    });
  // What is wrong in itself is said once, and before anything is changed; what depends on the container is said of each.
  parseResources(options, MUCH);
  if (options.pidsLimit !== undefined) parsePidsLimit(options.pidsLimit);
  if (options.restart !== undefined) parseRestart(options.restart);
  return nameEach(context, names, async ({ containers, signal }, { id }) => {
    const container = containers.find(id);
    await using _lock = await containers.lock(container, signal);
    const held = containers.find(id);
    const { resources, processLimit, restart } = changesOf(held, options);
    await updateRunning(held, { resources, processLimit, restart });
    const { record } = held;
    containers.rewrite(held, { ...record, resources, restart, step: { ...record.step, processLimit } });
  });
}

/** With swap of its own, every limit of memory that a container may have goes with one that is given. */
const MUCH: ResourceLimits = { memory: 1 };

/** What a container is to be: what was not said stays as it is, zeros among it as with docker. */
function changesOf({ name, record }: Container, options: UpdateOptions): ContainerUpdate {
  const { cpuPeriod, ...others } = record.resources ?? {};
  // A number of CPUs is about the usual period.
  const before = options.cpus === undefined && cpuPeriod !== undefined ? { ...others, cpuPeriod } : others;
  const { resources = {} } = parseResources(options, before);
  const { memory = 0, memorySwap = 0 } = resources;
  if (memorySwap > 0 && memorySwap < memory)
    throw new TsbuildError('TSB_USAGE', `Cannot update container ${name}: its --memory-swap is less than that`, {
      hint: 'memory and swap together are limited by --memory-swap: say both',
    });
  const restart = options.restart === undefined ? record.restart : parseRestart(options.restart);
  if (record.autoRemove && restart.name !== 'no')
    throw new TsbuildError('TSB_USAGE', `Cannot update container ${name}: it is removed when it ends (--rm)`);
  const { pidsLimit } = options;
  const processLimit = pidsLimit === undefined ? (record.step.processLimit ?? 0) : parsePidsLimit(pidsLimit);
  return { resources, processLimit, restart };
}
