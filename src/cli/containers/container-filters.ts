import { type Container, type ContainerState, isLive, readPorts } from '../../containers/index.ts';
import { exposedPorts, portName } from '../../network/index.ts';
import type { TsbuildError } from '../../util/index.ts';
import {
  booleanFilter,
  type FilterKind,
  labelFilter,
  type ListFilter,
  parseListFilters,
} from '../options/list-filters.ts';
import { exposedBy } from './container-ports.ts';
import { networkNames } from './container-rows.ts';

type Args = readonly [container: Container, state: ContainerState];

const STATES = new Set(['created', 'running', 'paused', 'restarting', 'exited', 'removing', 'dead']);
const HEALTH = new Set(['starting', 'healthy', 'unhealthy', 'none']);

/**
 * `ps --filter`, and that of `container prune`.
 * @param find gives the container of `before=` and `since=`
 * @throws TsbuildError `TSB_USAGE` for a filter that nobody knows
 */
export function parseContainerFilters(values: readonly string[], find: (name: string) => Container): ListFilter<Args> {
  const kinds: Readonly<Record<string, FilterKind<Args>>> = {
    ...KINDS,
    before: (value) => {
      const { record } = find(value);
      return (container) => container.record.created < record.created;
    },
    since: (value) => {
      const { record } = find(value);
      return (container) => container.record.created > record.created;
    },
  };
  return parseListFilters(values, kinds, `there are ${Object.keys(kinds).join(', ')}`);
}

/** Whether one of them says which containers are meant whatever they are doing, so that `-a` is not needed. */
export function namesStates(values: readonly string[]): boolean {
  return values.some((text) => /^(?:status|exited)=/.test(text));
}

const KINDS: Readonly<Record<string, FilterKind<Args>>> = {
  id:
    (value) =>
    ({ id }) =>
      id.startsWith(value),
  name: (value) => (container) => matches(value, container.name),
  label: labelFilter(({ record }) => record.labels),
  status: (value, bad) => {
    if (!STATES.has(value)) throw bad(`there is no status ${JSON.stringify(value)}`);
    return (_container, { status }) => status === value;
  },
  exited: (value, bad) => {
    if (!/^\d{1,3}$/.test(value)) throw bad('expected an exit code');
    return (_container, state) => state.status === 'exited' && state.exitCode === Number(value);
  },
  volume: (value) => (container) =>
    (container.record.step.mounts ?? []).some(
      (mount) => mount.type === 'bind' && [mount.volume, mount.source, mount.target].includes(value),
    ),
  publish: (value, bad) => {
    const wanted = ports(value, bad);
    return (container, state) =>
      isLive(state) &&
      readPorts(container).some((port) => wanted.has(portName({ ...port, containerPort: port.hostPort })));
  },
  // As with docker, one that does not run listens at nothing.
  expose: (value, bad) => {
    const wanted = ports(value, bad);
    return ({ record }, state) => isLive(state) && exposedBy(record).some((port) => wanted.has(port));
  },
  // Those of a swarm, of which there is none.
  'is-task': (value, bad) => {
    const isTask = booleanFilter(value, bad);
    return () => !isTask;
  },
  network: (value) => (container) => networkNames(container).includes(value),
  health: (value, bad) => {
    if (!HEALTH.has(value)) throw bad('expected starting, healthy, unhealthy or none');
    return (_container, { health = 'none' }) => health === value;
  },
  ancestor: (value) => {
    // Fewer digits are more likely a name, such as "db": of images that are not there nobody knows.
    const [, whole, bare] = /^(?:sha256:([0-9a-f]{1,64})|([0-9a-f]{4,64}))$/.exec(value) ?? [];
    const digits = whole ?? bare;
    return ({ record: { image } }) =>
      image.name === value ||
      image.name === `${value}:latest` ||
      `${image.name}:latest` === value ||
      (digits !== undefined && image.id.replace('sha256:', '').startsWith(digits));
  },
  scope:
    (value) =>
    ({ record }) =>
      record.scope === value,
};

/** `80`, `53/udp` or `8000-8010`. */
function ports(value: string, bad: (why: string) => TsbuildError): ReadonlySet<string> {
  const found = exposedPorts({ [value.toLowerCase()]: {} });
  if (found.length === 0) throw bad('expected a port, such as 80, 53/udp or 8000-8010');
  return new Set(found.map(portName));
}

/** Docker takes a name for an expression that may be found anywhere in it. */
function matches(pattern: string, name: string): boolean {
  // Of expressions only what people write; a pattern of somebody else's must not take all day.
  const anchored = /^(\^?\/?)([\w.-]*)(\$?)$/.exec(pattern);
  if (anchored === null) return name.includes(pattern);
  const [, start = '', text = '', end = ''] = anchored;
  if (start.startsWith('^') && end === '$') return name === text;
  if (start.startsWith('^')) return name.startsWith(text);
  return end === '$' ? name.endsWith(text) : name.includes(text);
}
