import { expect, test } from 'vitest';
import { parseContainerFilters } from '../../../src/cli/containers/container-filters.ts';
import { statusText } from '../../../src/cli/containers/container-rows.ts';
import { spanText } from '../../../src/cli/lists/span-text.ts';
import type { Container, ContainerState } from '../../../src/containers/index.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');
const state = (rest: Partial<ContainerState>): ContainerState => ({
  status: 'running',
  pid: 1,
  exitCode: 0,
  restarts: 0,
  started: '2026-01-01T11:57:00Z',
  finished: '',
  ...rest,
});

test('says what a container does in the words of docker', () => {
  expect(statusText(state({}), NOW)).toBe('Up 3 minutes');
  expect(statusText(state({ health: 'starting' }), NOW)).toBe('Up 3 minutes (health: starting)');
  expect(statusText(state({ health: 'unhealthy' }), NOW)).toBe('Up 3 minutes (unhealthy)');
  expect(statusText(state({ status: 'paused' }), NOW)).toBe('Up 3 minutes (Paused)');
  expect(statusText(state({ status: 'created', started: '' }), NOW)).toBe('Created');
  const ended = { exitCode: 3, finished: '2026-01-01T11:59:59Z' };
  expect(statusText(state({ status: 'exited', ...ended }), NOW)).toBe('Exited (3) 1 second ago');
  expect(statusText(state({ status: 'restarting', ...ended }), NOW)).toBe('Restarting (3) 1 second ago');
});

test.each([
  [0, 'Less than a second'],
  [59, '59 seconds'],
  [60, 'About a minute'],
  [3599, '59 minutes'],
  [3600, 'About an hour'],
  [47 * 3600, '47 hours'],
  [13 * 86_400, '13 days'],
  [21 * 86_400, '3 weeks'],
  [90 * 86_400, '3 months'],
  [800 * 86_400, '2 years'],
])('%i s are %s', (seconds, text) => {
  expect(spanText(seconds * 1000)).toBe(text);
});

test('filters of one name are alternatives, those of several names and labels are not', () => {
  const make = (name: string, labels: Record<string, string>): Container =>
    ({
      id: name.repeat(8),
      name,
      record: { labels, created: name, image: { name: 'app', id: 'sha256:abc' } },
    }) as unknown as Container;
  const all = [make('web', { a: '1', b: '2' }), make('web2', { a: '1' }), make('db', {})];
  const names = (...filters: string[]): readonly string[] => {
    const test = parseContainerFilters(filters, (name) => all.find((each) => each.name === name) ?? all[0]!);
    return all.filter((container) => test(container, state({}))).map(({ name }) => name);
  };
  expect(names()).toEqual(['web', 'web2', 'db']);
  expect(names('name=web')).toEqual(['web', 'web2']);
  expect(names('name=^web$', 'name=db')).toEqual(['web', 'db']);
  expect(names('label=a', 'label=b=2')).toEqual(['web']);
  expect(names('name=web', 'label=b')).toEqual(['web']);
  expect(names('ancestor=app:latest', 'status=exited')).toEqual([]);
  expect(names('before=web')).toEqual(['db']);
  expect(() => names('colour=red')).toThrow('colour');
  expect(() => names('status=asleep')).toThrow('asleep');
});
