import type { ContainerEvent } from '../../containers/index.ts';
import { type FilterKind, labelFilter, type ListFilter, parseListFilters } from './list-filters.ts';

type Args = readonly [event: ContainerEvent];

/** Whether an event is wanted. */
export type EventFilter = ListFilter<Args>;

const KINDS: Readonly<Record<string, FilterKind<Args>>> = {
  // `health_status` stands for what is behind its colon, too.
  event:
    (value) =>
    ({ action }) =>
      action === value || action.startsWith(`${value}:`),
  container:
    (value) =>
    ({ id, name }) =>
      name === value || (value.length > 0 && id.startsWith(value)),
  // The colon of a port is no tag's, nor is that of a digest.
  image:
    (value) =>
    ({ image }) =>
      image === value || image.replace(/(?::[^:/@]*)?(?:@.*)?$/, '') === value,
  label: labelFilter(({ labels }) => labels),
  type: (value) => () => value === 'container',
};

/**
 * `--filter` of events.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseEventFilters(texts: readonly string[]): EventFilter {
  return parseListFilters(texts, KINDS, `expected NAME=VALUE; the names are ${Object.keys(KINDS).join(', ')}`);
}
