import type { Container, ContainerState } from '../../containers/index.ts';
import { networkNames } from './container-rows.ts';
import { TsbuildError } from '../../util/index.ts';

type Test = (container: Container, state: ContainerState) => boolean;

const STATES = new Set(['created', 'running', 'paused', 'restarting', 'exited', 'removing', 'dead']);

/**
 * `ps --filter`, as docker has them: of one name any may hold, of several names all must; but every label must.
 * @param find gives the container of `before=` and `since=`
 * @throws TsbuildError `TSB_USAGE` for a filter that nobody knows
 */
export function parseContainerFilters(values: readonly string[], find: (name: string) => Container): Test {
  const byName = new Map<string, Test[]>();
  for (const text of values) {
    const at = text.indexOf('=');
    const name = text.slice(0, at);
    if (at < 1) throw new TsbuildError('TSB_USAGE', `Cannot use --filter ${JSON.stringify(text)}: expected NAME=VALUE`);
    const key = name === 'label' ? text : name;
    byName.set(key, [...(byName.get(key) ?? []), parseFilter(name, text.slice(at + 1), text, find)]);
  }
  return (container, state) => [...byName.values()].every((tests) => tests.some((test) => test(container, state)));
}

/** Whether one of them says which containers are meant whatever they are doing, so that `-a` is not needed. */
export function namesStates(values: readonly string[]): boolean {
  return values.some((text) => /^(?:status|exited)=/.test(text));
}

function parseFilter(name: string, value: string, text: string, find: (name: string) => Container): Test {
  const bad = (why: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use --filter ${JSON.stringify(text)}: ${why}`);
  switch (name) {
    case 'id':
      return ({ id }) => id.startsWith(value);
    case 'name':
      return (container) => matches(value, container.name);
    case 'label': {
      const at = value.indexOf('=');
      const key = at < 0 ? value : value.slice(0, at);
      return ({ record }) => (at < 0 ? Object.hasOwn(record.labels, key) : record.labels[key] === value.slice(at + 1));
    }
    case 'status':
      if (!STATES.has(value)) throw bad(`there is no status ${JSON.stringify(value)}`);
      return (_container, { status }) => status === value;
    case 'exited': {
      if (!/^\d{1,3}$/.test(value)) throw bad('expected an exit code');
      return (_container, state) => state.status === 'exited' && state.exitCode === Number(value);
    }
    case 'network':
      return (container) => networkNames(container).includes(value);
    case 'health':
      if (!['starting', 'healthy', 'unhealthy', 'none'].includes(value))
        throw bad('expected starting, healthy, unhealthy or none');
      return (_container, { health = 'none' }) => health === value;
    case 'ancestor':
      return ({ record: { image } }) =>
        image.name === value ||
        image.name === `${value}:latest` ||
        `${image.name}:latest` === value ||
        image.id.replace('sha256:', '').startsWith(value.replace('sha256:', ''));
    case 'scope':
      return ({ record }) => record.scope === value;
    case 'before': {
      const { record } = find(value);
      return (container) => container.record.created < record.created;
    }
    case 'since': {
      const { record } = find(value);
      return (container) => container.record.created > record.created;
    }
    default:
      throw bad(`there is no filter ${JSON.stringify(name)}`);
  }
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
