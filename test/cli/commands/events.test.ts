import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCli } from '../../../src/cli/program.ts';
import { type ContainerEvent, Containers } from '../../../src/containers/index.ts';
import { Store } from '../../../src/store/index.ts';
import { fakeContext, type FakeContext } from '../../fakes/cli-context.ts';
import { TempDir } from '../../tree/support.ts';

const NOW = Date.UTC(2026, 0, 31, 12);
const ID = 'ab12'.repeat(16);
let dir: TempDir;
let file = '';
beforeEach(() => {
  dir = new TempDir();
  using store = Store.open(join(dir.path, 'store'), { now: () => NOW });
  const { root } = new Containers(store);
  mkdirSync(root, { recursive: true });
  file = join(root, 'events');
});
afterEach(() => dir[Symbol.dispose]());

const event = (minute: number, action: string, more: Partial<ContainerEvent> = {}): string =>
  `${JSON.stringify({
    time: `2026-01-31T11:${String(minute).padStart(2, '0')}:00.123456789Z`,
    action,
    id: ID,
    name: 'web',
    image: 'app:1',
    labels: { tier: 'front', 'a.b': '' },
    ...more,
  })}\n`;

function context(now: () => number = () => NOW): FakeContext {
  const env = { TSBUILD_ROOT: join(dir.path, 'store'), HOME: dir.path };
  return fakeContext({ cwd: dir.path, uid: process.getuid?.() ?? 0, env, now });
}
async function events(...words: readonly string[]) {
  const at = context();
  const code = await runCli(['events', ...words], at);
  return { code, out: at.out(), err: at.err() };
}

describe('events', () => {
  test('are told in docker’s form, with what belongs to each by its name', async () => {
    writeFileSync(file, event(1, 'create') + event(2, 'die', { attributes: { exitCode: '3' } }));
    expect(await events('--since', '0', '--no-stream')).toEqual({
      code: 0,
      out:
        `2026-01-31T11:01:00.123456789Z container create ${ID} (a.b=, image=app:1, name=web, tier=front)\n` +
        `2026-01-31T11:02:00.123456789Z container die ${ID} (a.b=, exitCode=3, image=app:1, name=web, tier=front)\n`,
      err: '',
    });
  });

  test('are documents of docker’s API, a line each, with nanoseconds that no number holds', async () => {
    writeFileSync(file, event(1, 'die', { attributes: { exitCode: '0' } }));
    for (const format of ['json', '{{json .}}', '{{ json . }}']) {
      const { out } = await events('--no-stream', '--format', format);
      expect(out).toMatch(/^\{.*"timeNano":1769857260123456789\}\n$/);
      expect(JSON.parse(out)).toMatchObject({
        status: 'die',
        id: ID,
        from: 'app:1',
        Type: 'container',
        Action: 'die',
        Actor: { ID, Attributes: { exitCode: '0', image: 'app:1', name: 'web', tier: 'front' } },
        scope: 'local',
        time: 1_769_857_260,
      });
    }
  });

  test.each([
    ['{{.Action}} {{.Actor.Attributes.name}} {{.Actor.ID}}', `die web ${ID}`],
    ['{{.Status}} {{.Name}} {{.Image}} {{.ID}}', `die web app:1 ${ID}`],
    ['{{.Time}} {{.TimeNano}}', '1769857260 1769857260123456789'],
    ['{{index .Actor.Attributes "a.b"}}|{{.Actor.Attributes.none}}', '|<no value>'],
    ['{{range $k, $v := .Attributes}}{{$k}} {{end}}', 'a.b image name tier '],
    ['{{.Type}} {{.Scope}} {{.From}}', 'container local app:1'],
  ])('--format %s', async (format, text) => {
    writeFileSync(file, event(1, 'die'));
    expect((await events('--no-stream', '--format', format)).out).toBe(`${text}\n`);
  });

  test.each<[readonly string[], readonly string[]]>([
    [[], ['create', 'start', 'exec_start: sh', 'die']],
    [
      ['--since', '2026-01-31T11:02:00Z'],
      ['start', 'exec_start: sh', 'die'],
    ],
    [['--since', '58m', '--until', '57m'], ['start']],
    [['--until', '2026-01-31T11:01:30Z'], ['create']],
    [['--since', '30s'], []],
    [
      ['--filter', 'event=die', '--filter', 'event=create'],
      ['create', 'die'],
    ],
    [['--filter', 'event=exec_start'], ['exec_start: sh']],
    [
      ['--filter', 'container=ab12'],
      ['create', 'start', 'exec_start: sh', 'die'],
    ],
    [['--filter', 'container=web', '--filter', 'event=start'], ['start']],
    [['--filter', 'event!=die', '--filter', 'event!=create', '--filter', 'event!=start'], ['exec_start: sh']],
    [['--filter', 'label=tier=back'], []],
    [['--filter', 'type=image'], []],
  ])('%j leaves %j', async (words, actions) => {
    writeFileSync(file, event(1, 'create') + event(2, 'start') + event(3, 'exec_start: sh') + event(4, 'die'));
    const { code, out } = await events('--no-stream', '--format', '{{.Action}}', ...words);
    expect(code).toBe(0);
    expect(out.split('\n').filter(Boolean)).toEqual(actions);
  });

  test('of a store that has had no containers are none', async () => {
    expect(await events('--since', '0', '--no-stream')).toEqual({ code: 0, out: '', err: '' });
  });

  test('what is damaged is left out', async () => {
    writeFileSync(file, `${event(1, 'create')}{"time":\nnull\n${event(2, 'start')}`);
    expect((await events('--no-stream', '--format', '{{.Action}}')).out).toBe('create\nstart\n');
  });

  test('without --since are those from now on, until the time that was named', async () => {
    writeFileSync(file, event(1, 'create'));
    let now = NOW;
    const at = context(() => now);
    const told = runCli(['events', '--until', '2026-01-31T12:00:05Z', '--since', '2026-01-31T11:59:59Z', '--format', '{{.Action}}'], at); // oxfmt-ignore
    appendFileSync(file, event(0, 'start', { time: '2026-01-31T12:00:01.000000000Z' }));
    await expect.poll(() => at.out(), { interval: 5 }).toBe('start\n');
    now += 6000;
    appendFileSync(file, event(0, 'late', { time: '2026-01-31T12:00:06.000000000Z' }));
    expect(await told).toBe(0);
    expect(at.out()).toBe('start\n');
  });

  test.each([
    [['--since', 'noon'], 'Cannot use --since "noon"\nhint: for example 2026-01-31'],
    [['--until', '2026-02-30'], 'Cannot use --until "2026-02-30"'],
    [['--since', '1m', '--until', '2m'], 'Cannot show events: --until is before --since'],
    [['--format', '{{.Action'], 'an action is not closed with }}'],
    [['--format', '{{.Aktion}}', '--no-stream'], 'did you mean ".Action"?'],
    [['--filter', 'lable=x'], 'did you mean "label"?'],
  ])('%j is refused', async (words, why) => {
    writeFileSync(file, event(1, 'create'));
    const { code, out, err } = await events(...words);
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain(why);
  });

  test('cannot control a terminal by a label', async () => {
    writeFileSync(file, event(1, 'create', { labels: { x: '\u001b[2J\u001b]0;title\u0007' } }));
    const at = context();
    Object.assign(at.stdout, { isTTY: true });
    expect(await runCli(['events', '--no-stream'], at)).toBe(0);
    // oxlint-disable-next-line no-control-regex
    expect(at.out()).not.toMatch(/[\u001b\u0007]/);
    expect(at.out()).toContain('x=');
  });
});
