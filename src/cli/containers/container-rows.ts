import { attachmentsOf, type Container, type ContainerState, isLive, readPorts } from '../../containers/index.ts';
import type { ContainerSize } from '../../engine/index.ts';
import { portName } from '../../network/index.ts';
import { formatBytes } from '../../util/index.ts';
import { hostAddress } from '../options/container-network.ts';
import { labelFields, type RowLabels } from '../lists/label-fields.ts';
import { spanAgo, spanText } from '../lists/span-text.ts';
import { shorten } from '../lists/table.ts';

/** What `ps` shows of a container, under the names that docker's templates have. */
export interface ContainerRow extends Readonly<Record<string, unknown>> {
  readonly ID: string;
  readonly Image: string;
  readonly Command: string;
  readonly CreatedAt: string;
  readonly RunningFor: string;
  readonly State: string;
  readonly Status: string;
  readonly Ports: string;
  readonly Names: string;
  readonly Labels: string;
  readonly Label: RowLabels['Label'];
  readonly Mounts: string;
  /** How many of its mounts are volumes. */
  readonly LocalVolumes: string;
  readonly Networks: string;
  /** Docker's `0B` where nobody has asked for it. */
  readonly Size: string;
}

/** A container as a line of `ps`. @param now ms since the epoch */
export function containerRow(
  container: Container,
  state: ContainerState,
  { now, full, size }: { readonly now: number; readonly full: boolean; readonly size?: ContainerSize | undefined },
): ContainerRow {
  const { id, name, record } = container;
  const { step } = record;
  const command = step.args.join(' ');
  const mounts = (step.mounts ?? []).flatMap((mount) => (mount.type === 'bind' ? [mount.volume ?? mount.source] : []));
  return {
    ID: full ? id : id.slice(0, 12),
    Image: record.image.name,
    Command: JSON.stringify(full ? command : shorten(command, 20)),
    CreatedAt: record.created,
    RunningFor: spanAgo(now - Date.parse(record.created)),
    State: state.status,
    Status: statusText(state, now),
    Ports: isLive(state)
      ? readPorts(container)
          .map((port) => `${hostAddress(port)}->${portName(port)}`)
          .join(', ')
      : '',
    Names: name,
    ...labelFields(record.labels),
    Mounts: mounts.join(','),
    LocalVolumes: String((step.mounts ?? []).filter((mount) => mount.type === 'bind' && mount.volume).length),
    Networks: networkNames(container).join(','),
    Size: size === undefined ? '0B' : `${formatBytes(size.rw)} (virtual ${formatBytes(size.rootFs)})`,
  };
}

/** Names of the networks that a container is in, or what else its network is. */
export function networkNames(container: Container): readonly string[] {
  const { networks, networkOf, step } = container.record;
  if (networkOf !== undefined) return [`container:${networkOf.slice(0, 12)}`];
  return networks === undefined ? [step.network] : attachmentsOf(container).map(({ network }) => network);
}

/** "Up 3 minutes (healthy)" and the like, as docker has them. */
export function statusText(state: ContainerState, now: number): string {
  const since = (time: string): string => spanText(now - Date.parse(time));
  switch (state.status) {
    case 'created':
      return 'Created';
    case 'running': {
      const health = state.health === 'starting' ? 'health: starting' : state.health;
      return `Up ${since(state.started)}${health === undefined ? '' : ` (${health})`}`;
    }
    case 'paused':
      return `Up ${since(state.started)} (Paused)`;
    case 'restarting':
      return `Restarting (${state.exitCode}) ${since(state.finished)} ago`;
    case 'exited':
      return `Exited (${state.exitCode}) ${state.finished === '' ? '' : `${since(state.finished)} ago`}`.trimEnd();
    default:
      return state.status satisfies never;
  }
}
