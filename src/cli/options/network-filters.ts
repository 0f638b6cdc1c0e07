import { DEFAULT_NETWORK, type Network } from '../../containers/index.ts';
import { parseDuration, TsbuildError } from '../../util/index.ts';

type Test = (network: Network) => boolean;

/**
 * Filters of `network ls` and `network prune`: of one name any may hold, of several names all must; but every label must.
 * @param now ms since the epoch
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseNetworkFilters(values: readonly string[], now: number, isUsed: Test): Test {
  const byName = new Map<string, Test[]>();
  for (const text of values) {
    const [name = '', value = ''] = text.split(/=(.*)/s);
    const key = name === 'label' ? text : name;
    byName.set(key, [...(byName.get(key) ?? []), parseFilter(name, value, text, now, isUsed)]);
  }
  return (network) => [...byName.values()].every((tests) => tests.some((test) => test(network)));
}

function parseFilter(name: string, value: string, text: string, now: number, isUsed: Test): Test {
  switch (text.includes('=') ? name : undefined) {
    case 'name':
      return (network) => network.name.includes(value);
    case 'id':
      return ({ record }) => record.id.startsWith(value);
    case 'driver':
      return () => value === 'bridge';
    case 'scope':
      return ({ record }) => value === 'local' || record.scope === value;
    case 'type':
      return (network) => (network.name === DEFAULT_NETWORK ? 'builtin' : 'custom') === value;
    case 'until': {
      const before = now - parseDuration(value);
      return ({ record }) => Date.parse(record.created) < before;
    }
    case 'label': {
      const [key = '', wanted] = value.split(/=(.*)/s);
      return ({ record: { labels } }) => (wanted === undefined ? Object.hasOwn(labels, key) : labels[key] === wanted);
    }
    case 'dangling':
      if (/^(?:true|false|0|1)$/.test(value))
        return (network) => isUsed(network) !== (value === 'true' || value === '1');
      break;
    default:
  }
  throw new TsbuildError('TSB_USAGE', `Cannot use --filter ${JSON.stringify(text)}`, {
    hint: 'there are name=, id=, label=NAME[=VALUE], driver=, type=builtin|custom, scope=, until=DURATION and dangling=true',
  });
}
