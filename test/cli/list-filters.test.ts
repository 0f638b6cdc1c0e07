import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseEventFilters } from '../../src/cli/options/event-filters.ts';
import { parseContainerFilters, namesStates } from '../../src/cli/containers/container-filters.ts';
import { parseNetworkFilters } from '../../src/cli/options/network-filters.ts';
import type { Container, ContainerEvent, ContainerState, Network } from '../../src/containers/index.ts';

describe('filters of events', () => {
  const event = (more: Partial<ContainerEvent> = {}): ContainerEvent => ({
    time: '',
    action: 'start',
    id: 'ab12cd',
    name: 'web',
    image: 'app:1',
    labels: { tier: 'front' },
    ...more,
  });
  const takes = (filters: readonly string[], more: Partial<ContainerEvent> = {}): boolean =>
    parseEventFilters(filters)(event(more));

  test.each([
    [[], true],
    [['event=start'], true],
    [['event=stop'], false],
    [['event=stop', 'event=start'], true],
    [['event=start', 'container=db'], false],
    [['container=web'], true],
    [['container=ab12'], true],
    [['container='], false],
    [['container=we'], false],
    [['image=app'], true],
    [['image=app:1'], true],
    [['image=ap'], false],
    [['label=tier'], true],
    [['label=tier=front'], true],
    [['label=tier=back'], false],
    [['label=constructor'], false],
    [['type=container'], true],
    [['type=network'], false],
  ])('%j: %s', (filters, wanted) => {
    expect(takes(filters)).toBe(wanted);
  });

  test('of an action stand for what is behind its colon, too', () => {
    expect(takes(['event=health_status'], { action: 'health_status: healthy' })).toBe(true);
    expect(takes(['event=health'], { action: 'health_status: healthy' })).toBe(false);
  });

  test.each([
    ['localhost:5000/app:1', 'localhost:5000/app', true],
    ['localhost:5000/app', 'localhost:5000/app', true],
    ['localhost:5000/app:1', 'localhost', false],
    ['app@sha256:abc', 'app', true],
    ['app:1@sha256:abc', 'app', true],
    ['app:1@sha256:abc', 'app@sha256', false],
  ])('of an image take it without its tag: %s by %s is %s', (image, value, wanted) => {
    expect(takes([`image=${value}`], { image })).toBe(wanted);
  });

  test.each(['start', 'constructor=1', 'evnt=start', ''])('%j is none', (text) => {
    expect(() => takes([text])).toThrow(
      expect.objectContaining({
        code: 'TSB_USAGE',
        message: expect.stringMatching(/^Cannot use --filter "/) as unknown,
        hint: expect.stringMatching(/^expected NAME=VALUE; the names are event, |did you mean "event"\?/) as unknown,
      }),
    );
  });
});

describe('filters of containers', () => {
  const make = (name: string, record: object): Container =>
    ({
      id: `${name}0`.repeat(8),
      name,
      record: { labels: {}, step: { network: 'host' }, image: { name: 'app:1', id: 'sha256:ab12' }, ...record },
    }) as unknown as Container;
  const state = (more: Partial<ContainerState>): ContainerState =>
    ({ status: 'running', exitCode: 0, ...more }) as ContainerState;
  const old = make('old', { created: '2026-01-01', networks: [{ network: 'ci', aliases: [] }], scope: 'job' });
  const young = make('young', { created: '2026-01-02', networkOf: 'a'.repeat(64) });
  const takes = (filter: string, container = old, now = state({})): boolean =>
    parseContainerFilters([filter], (name) => (name === 'old' ? old : young))(container, now);

  test.each<[string, boolean]>([
    ['id=old0', true],
    ['id=ld0', false],
    ['name=ol', true],
    ['name=^ol', true],
    ['name=^/old$', true],
    ['name=^ld', false],
    ['name=ld$', true],
    // An expression is no expression here: what it takes for ever costs nothing.
    ['name=(o+)+$', false],
    ['network=ci', true],
    ['network=host', false],
    ['scope=job', true],
    ['scope=other', false],
    ['before=young', true],
    ['since=young', false],
    ['before=old', false],
    ['ancestor=app:1', true],
    ['ancestor=app', false],
    ['ancestor=ab12', true],
    ['ancestor=sha256:ab1', true],
    ['health=none', true],
    ['status=running', true],
    ['status=exited', false],
  ])('%s: %s', (filter, wanted) => {
    expect(takes(filter)).toBe(wanted);
  });

  test('of what is mounted in it, and of its ports while it runs', () => {
    const directory = mkdtempSync(join(tmpdir(), 'tsbuild-filters-'));
    const port = { protocol: 'tcp', hostPort: 8080, containerPort: 81 };
    writeFileSync(join(directory, 'ports.json'), JSON.stringify([port]));
    const mounts = [
      { type: 'bind', source: '/s/volumes/db/data', target: '/db', volume: 'db' },
      { type: 'tmpfs', target: '/t' },
    ];
    const imageConfig = { config: { ExposedPorts: { '53/udp': {} } } };
    const record = { step: { mounts, network: 'isolated' }, imageConfig, exposed: ['90/tcp'], ports: [port] };
    const one = { ...make('one', record), directory };
    const found = (filter: string, now = state({})): boolean => takes(filter, one, now);
    expect(['db', '/db', '/s/volumes/db/data', '/d', '/t'].map((name) => found(`volume=${name}`))).toEqual([
      true, true, true, false, false,
    ]); // oxfmt-ignore
    expect(['8080', '8080/tcp', '8000-8090', '8080/udp', '81'].map((name) => found(`publish=${name}`))).toEqual([
      true, true, true, false, false,
    ]); // oxfmt-ignore
    expect(['81', '90', '53/udp', '53', '80-100/tcp', '8080'].map((name) => found(`expose=${name}`))).toEqual([
      true, true, true, false, true, false,
    ]); // oxfmt-ignore
    for (const filter of ['publish=8080', 'expose=81']) expect(found(filter, state({ status: 'exited' }))).toBe(false);
    expect([found('is-task=false'), found('is-task=true')]).toEqual([true, false]);
    for (const filter of ['publish=x', 'publish=', 'expose=70000', 'publish=1:2', 'is-task=x'])
      expect(() => found(filter)).toThrow('Cannot use --filter');
    rmSync(directory, { recursive: true });
  });

  test('of what a container did and how it is', () => {
    expect(takes('exited=3', old, state({ status: 'exited', exitCode: 3 }))).toBe(true);
    // Zero is the code of those that still run, too.
    expect(takes('exited=0', old, state({ exitCode: 0 }))).toBe(false);
    expect(takes('health=healthy', old, state({ health: 'healthy' }))).toBe(true);
    expect(takes('network=container:aaaaaaaaaaaa', young)).toBe(true);
  });

  test.each([
    ['name', 'expected NAME=VALUE'],
    ['=x', 'expected NAME=VALUE'],
    ['status=up', 'there is no status "up"'],
    ['exited=-1', 'expected an exit code'],
    ['health=sick', 'expected starting, healthy, unhealthy or none'],
    ['volumes=x', 'there is no filter "volumes"'],
  ])('%s is none: %s', (filter, why) => {
    expect(() => takes(filter)).toThrow(`Cannot use --filter ${JSON.stringify(filter)}: ${why}`);
  });

  test('of a state make -a unnecessary', () => {
    expect(namesStates(['name=x', 'status=exited'])).toBe(true);
    expect(namesStates(['exited=1'])).toBe(true);
    expect(namesStates(['name=status=exited'])).toBe(false);
  });
});

describe('filters of networks', () => {
  const NOW = Date.UTC(2026, 0, 2);
  const network = (name: string, more: object = {}): Network =>
    ({
      name,
      record: { id: `${name}0`, created: '2026-01-01T00:00:00Z', labels: { job: '7', flag: '' }, ...more },
    }) as unknown as Network;
  const takes = (filters: readonly string[], one = network('ci')): boolean =>
    parseNetworkFilters(filters, NOW, ({ name }) => name === 'used')(one);

  test.each<[readonly string[], boolean]>([
    [['name=c'], true],
    [['name=x', 'name=i'], true],
    [['name=c', 'id=x'], false],
    [['id=ci0'], true],
    [['driver=bridge'], true],
    [['driver=macvlan'], false],
    [['type=custom'], true],
    [['type=builtin'], false],
    [['scope=local'], true],
    [['scope=job'], false],
    [['until=23h'], true],
    [['until=25h'], false],
    [['label=job=7', 'label=flag'], true],
    [['label=job=7', 'label=none'], false],
    [['label=flag='], true],
    [['label=toString'], false],
    [['dangling=true'], true],
    [['dangling=0'], false],
  ])('%j: %s', (filters, wanted) => {
    expect(takes(filters)).toBe(wanted);
  });

  test('the network that is always there is builtin, and one that is used does not dangle', () => {
    expect(takes(['type=builtin'], network('bridge'))).toBe(true);
    expect(takes(['dangling=1'], network('used'))).toBe(false);
    expect(takes(['scope=job'], network('ci', { scope: 'job' }))).toBe(true);
  });

  test.each(['x=1', 'dangling=maybe', 'constructor=x', 'name', ''])('%j is none', (text) => {
    expect(() => takes([text])).toThrow(
      expect.objectContaining({
        code: 'TSB_USAGE',
        message: expect.stringContaining(`Cannot use --filter ${JSON.stringify(text)}: `) as unknown,
      }),
    );
  });

  test('a time that is none is told', () => {
    expect(() => takes(['until=soon'])).toThrow(expect.objectContaining({ code: 'TSB_USAGE' }));
  });
});
