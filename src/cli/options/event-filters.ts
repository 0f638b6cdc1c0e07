import type { ContainerEvent } from '../../containers/index.ts';
import { TsbuildError } from '../../util/index.ts';

/** Whether an event is wanted. */
export type EventFilter = (event: ContainerEvent) => boolean;

const TESTS: Readonly<Record<string, (event: ContainerEvent, value: string) => boolean>> = {
  // `health_status` stands for what is behind its colon, too.
  event: ({ action }, value) => action === value || action.startsWith(`${value}:`),
  container: ({ id, name }, value) => name === value || (value.length > 0 && id.startsWith(value)),
  // The colon of a port is no tag's, nor is that of a digest.
  image: ({ image }, value) => image === value || image.replace(/(?::[^:/@]*)?(?:@.*)?$/, '') === value,
  label: ({ labels }, value) => {
    const at = value.indexOf('=');
    return at < 0 ? Object.hasOwn(labels, value) : labels[value.slice(0, at)] === value.slice(at + 1);
  },
  type: (_event, value) => value === 'container',
};

/**
 * `--filter` of events: those of one name are alternatives, those of several names must all hold.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseEventFilters(texts: readonly string[]): EventFilter {
  const wanted = new Map<string, string[]>();
  for (const text of texts) {
    const at = text.indexOf('=');
    const key = at < 0 ? text : text.slice(0, at);
    if (at < 0 || !Object.hasOwn(TESTS, key))
      throw new TsbuildError('TSB_USAGE', `Cannot filter events by ${JSON.stringify(text)}`, {
        hint: `expected NAME=VALUE; the names are ${Object.keys(TESTS).join(', ')}`,
      });
    wanted.set(key, [...(wanted.get(key) ?? []), text.slice(at + 1)]);
  }
  return (event) => [...wanted].every(([key, values]) => values.some((value) => TESTS[key]?.(event, value)));
}
