import { DEFAULT_NETWORK, type Network } from '../../containers/index.ts';
import { booleanFilter, labelFilter, type ListFilter, parseListFilters } from './list-filters.ts';
import { parseTime } from './time-option.ts';

type Test = ListFilter<readonly [network: Network]>;

/**
 * Filters of `network ls` and `network prune`.
 * @param now ms since the epoch
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseNetworkFilters(values: readonly string[], now: number, isUsed: Test): Test {
  return parseListFilters<Parameters<Test>>(
    values,
    {
      name: (value) => (network) => network.name.includes(value),
      id:
        (value) =>
        ({ record }) =>
          record.id.includes(value),
      driver: (value) => () => value === 'bridge',
      scope:
        (value) =>
        ({ record }) =>
          value === 'local' || record.scope === value,
      type: (value, bad) => {
        if (value !== 'builtin' && value !== 'custom') throw bad('expected builtin or custom');
        return ({ name }) => (name === DEFAULT_NETWORK ? 'builtin' : 'custom') === value;
      },
      until: (value) => {
        const before = Date.parse(parseTime('--filter until', value, now));
        return ({ record }) => Date.parse(record.created) < before;
      },
      label: labelFilter(({ record }) => record.labels),
      dangling: (value, bad) => {
        const wanted = booleanFilter(value, bad);
        return (network) => isUsed(network) !== wanted;
      },
    },
    'there are name=, id=, label=NAME[=VALUE], driver=, type=builtin|custom, scope=, until=TIME and dangling=true',
  );
}
