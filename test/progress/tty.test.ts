import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Stage } from './support.ts';
import { Terminal } from './terminal.ts';

/** What stands on a terminal after the writes of a stage. */
function shown(stage: Stage, terminal = new Terminal(stage.columns ?? 80, stage.rows ?? 24)): Terminal {
  for (const text of stage.writes.splice(0)) terminal.write(text);
  return terminal;
}

describe('tty', () => {
  test('a build while it runs', () => {
    const stage = new Stage('tty', { label: 'tsbuild' });
    const [load, base, make] = [
      '[internal] load build definition from Dockerfile',
      '[base 1/3] FROM alpine',
      '[base 3/3] RUN make',
    ];
    for (const name of [load, base, make, '[base 4/4] RUN later']) stage.vertex(name, 'pending');
    stage
      .vertex(load, 'started')
      .status(load, 'transferring dockerfile:', 227, { completed: true })
      .vertex(load, 'done');
    stage.vertex(base, 'cached').vertex(make, 'started').log(make, 'cc -c foo.c\ncc -c bar.c\n', 2).pass(3800);
    expect(shown(stage).text).toMatchInlineSnapshot(`
      "[+] Building 3.8s (2/4)                                                 tsbuild
       => [internal] load build definition from Dockerfile                       0.0s
       => => transferring dockerfile: 227B                                       0.0s
       => CACHED [base 1/3] FROM alpine                                          0.0s
       => [base 3/3] RUN make                                                    3.8s
       => => # cc -c foo.c
       => => # cc -c bar.c"
    `);
  });

  test('at the end output of steps is gone, and a failed step tells why', async () => {
    const stage = new Stage('tty');
    stage
      .vertex('[1/2] FROM alpine', 'started')
      .vertex('[2/2] RUN bad', 'started')
      .log('[2/2] RUN bad', 'oh no\n')
      .pass(300);
    stage.vertex('[2/2] RUN bad', 'failed', 'exit code: 1').vertex('[1/2] FROM alpine', 'canceled').pass(150);
    await stage.close();
    expect(shown(stage).text).toMatchInlineSnapshot(`
      "[+] Building 0.5s (2/2) FINISHED
       => CANCELED [1/2] FROM alpine                                             0.3s
       => ERROR [2/2] RUN bad                                                    0.3s
      ------
       > [2/2] RUN bad:
      0.000 oh no
      ------"
    `);
  });

  test('transfers show how far they are', () => {
    const stage = new Stage('tty')
      .vertex('pull', 'started')
      .status('pull', 'sha256:abc', 12.5e6, { total: 27e6 })
      .pass(1200);
    expect(shown(stage).text).toMatchInlineSnapshot(`
      "[+] Building 1.2s (0/1)
       => pull                                                                   1.2s
       => => sha256:abc 12.50MB / 27.00MB                                        1.2s"
    `);
  });

  test('a warning stands below its step', async () => {
    const stage = new Stage('tty')
      .vertex('load', 'started')
      .warn('load', 'JSONArgsRecommended', 'use JSON', 4)
      .vertex('load', 'done');
    await stage.close();
    expect(shown(stage).text).toContain(' => WARN: JSONArgsRecommended: use JSON (line 4)');
  });

  test('only the last lines of running steps, as many as BUILDKIT_TTY_LOG_LINES says', () => {
    for (const [logLines, expected] of [
      [undefined, 6],
      [2, 2],
      [12, 12],
    ] as const) {
      const stage = new Stage('tty', logLines === undefined ? {} : { logLines });
      stage.rows = 40;
      stage
        .vertex('a', 'started')
        .log('a', Array.from({ length: 30 }, (_, at) => `line ${at}\n`).join(''))
        .pass(150);
      const lines = shown(stage).screen.filter((line) => line.includes('# line'));
      expect(lines).toHaveLength(expected);
      expect(lines.at(-1)).toBe(' => => # line 29');
    }
  });

  test('never higher than the screen, and running steps stay in sight', () => {
    for (const rows of [1, 2, 3, 5, 8, 12]) {
      const stage = new Stage('tty');
      stage.rows = rows;
      const terminal = new Terminal(80, rows);
      stage.vertex('slow', 'started').log('slow', 'output\n');
      for (let at = 0; at < 30; at++) {
        stage.vertex(`step ${at}`, 'started').vertex(`step ${at}`, 'done').pass(150);
        shown(stage, terminal);
      }
      expect(terminal.lines.length).toBeLessThanOrEqual(rows);
      if (rows >= 5) expect(terminal.screen.join('\n')).toContain(' => slow');
    }
  });

  test('frames overwrite each other without remains', () => {
    const stage = new Stage('tty');
    const terminal = new Terminal(80, 24);
    stage.vertex('a', 'started').log('a', 'x\n'.repeat(6)).pass(150);
    shown(stage, terminal);
    stage.vertex('a', 'done').pass(150);
    shown(stage, terminal);
    expect(terminal.text.split('\n')).toHaveLength(2);
  });

  test('a narrower window: the wrapped frame is overwritten as well', () => {
    const stage = new Stage('tty');
    const terminal = new Terminal(80, 24);
    for (let at = 0; at < 4; at++) stage.vertex(`step ${at} ${'n'.repeat(50)}`, 'started');
    stage.pass(150);
    shown(stage, terminal);
    for (const columns of [50, 33, 70, 25]) {
      stage.columns = columns;
      terminal.resize(columns);
      stage.pass(150);
      shown(stage, terminal);
      expect(terminal.text.match(/\[\+\]/g)).toHaveLength(1);
    }
  });

  test('a terminal of 0 or 1 columns, or of unknown size (TTY-05)', async () => {
    for (const [columns, rows] of [
      [0, 0],
      [1, 1],
      [1, 24],
      [80, 1],
      [undefined, undefined],
      [5, 5],
    ] as const) {
      const stage = new Stage('tty');
      stage.columns = columns;
      stage.rows = rows;
      stage.vertex('a', 'started').log('a', 'out\n').pass(150).vertex('a', 'done').pass(150);
      await stage.close();
      expect(shown(stage, new Terminal(columns || 80, rows || 10)).cursorVisible).toBe(true);
    }
  });

  test('wide characters count as what they take', () => {
    const stage = new Stage('tty')
      .vertex(`RUN ${'漢字'.repeat(30)}`, 'started')
      .vertex('RUN e\u0301\u0301a', 'started')
      .pass(150);
    // eslint-disable-next-line no-control-regex
    const lines = (stage.writes.at(-1) ?? '').replaceAll(/\u001b\[[^A-Za-z]*[A-Za-z]|\r/g, '').split('\n');
    const wide = lines[1]?.match(/[漢字]/g)?.length ?? 0;
    expect(wide + (lines[1]?.length ?? 0)).toBe(79);
    expect(wide).toBeGreaterThan(30);
    expect(lines[2]).toHaveLength(81);
  });

  test('colours: finished blue, canceled yellow, failed red; none with NO_COLOR', async () => {
    const draw = async (options: ConstructorParameters<typeof Stage>[1]): Promise<string> => {
      const stage = new Stage('tty', options)
        .vertex('d', 'started')
        .vertex('d', 'done')
        .vertex('c', 'started')
        .vertex('c', 'canceled');
      stage
        .vertex('r', 'started')
        .log('r', 'x\n')
        .pass(150)
        .vertex('f', 'started')
        .vertex('f', 'failed', 'x')
        .pass(150);
      return stage.close();
    };
    const text = await draw({});
    for (const start of ['34m => d ', '33m => CANCELED c ', '31m => ERROR f ', '2m => => # x'])
      expect(text).toContain(`\u001b[${start}`);
    // eslint-disable-next-line no-control-regex
    expect(await draw({ noColor: true })).not.toMatch(/\u001b\[[\d;]+m/);
    const custom = await draw({ colors: 'run=light-green:error=255,0,10:cancel=bogus:nonsense:x=y=z:warning=300,0,0' });
    for (const start of ['92m => d ', '33m => CANCELED c ', '38;2;255;0;10m => ERROR f '])
      expect(custom).toContain(`\u001b[${start}`);
  });

  test('frames come no faster than the display rate, and not while the terminal lags behind', () => {
    const stage = new Stage('tty').vertex('a', 'started');
    const before = stage.writes.length;
    for (let at = 0; at < 100; at++) {
      stage.time += 1;
      stage.log('a', 'x\n');
    }
    expect(stage.writes.length - before).toBeLessThanOrEqual(2);
    stage.waiting = [];
    stage.pass(150).pass(150).pass(150);
    expect(stage.writes.length - before).toBeLessThanOrEqual(3);
  });

  test('nothing is drawn before anything happens', () => {
    const stage = new Stage('tty').vertex('a', 'pending').pass(1000);
    expect(stage.text).toBe('');
  });
});

type Step = (stage: Stage) => unknown;
const name = fc.constantFrom('a', 'b', '[1/2] RUN x', 'evil\u001b[2J\n::x', '漢字');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(name, fc.constantFrom('pending', 'started', 'cached', 'done', 'failed', 'canceled')).map(
    ([vertex, state]): Step =>
      (stage) =>
        stage.vertex(vertex, state, 'why'),
  ),
  fc
    .tuple(
      name,
      fc.oneof(
        fc.string({ unit: 'binary', maxLength: 60 }),
        fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
      ),
    )
    .map(
      ([vertex, text]): Step =>
        (stage) =>
          stage.log(vertex, text),
    ),
  fc.tuple(name, fc.string(), fc.double(), fc.option(fc.double(), { nil: undefined }), fc.boolean()).map(
    ([vertex, part, current, total, completed]): Step =>
      (stage) =>
        stage.status(vertex, part, current, { ...(total === undefined ? {} : { total }), completed }),
  ),
  fc.tuple(fc.option(name, { nil: undefined }), fc.string()).map(
    ([vertex, text]): Step =>
      (stage) =>
        stage.warn(vertex, 'Rule', text),
  ),
  fc.integer({ min: -500, max: 20_000 }).map(
    (ms): Step =>
      (stage) =>
        stage.pass(ms),
  ),
  fc.tuple(fc.nat(130), fc.nat(50)).map(([columns, rows]): Step => (stage) => {
    stage.columns = columns;
    stage.rows = rows;
  }),
);

test.each(['tty', 'plain', 'rawjson', 'quiet', 'none'] as const)(
  '%s: any events leave the terminal as it was, and nothing raw reaches it',
  async (mode) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const stage = new Stage(mode, mode === 'tty' ? { noColor: true } : {});
        for (const act of steps) act(stage);
        const text = await stage.close();
        const rest = text
          // eslint-disable-next-line no-control-regex
          .replaceAll(/\u001b\[(?:\?25[lh]|\d*[AJK])|\r(?=\[)/g, '');
        // eslint-disable-next-line no-control-regex
        expect(rest).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
        expect(text.lastIndexOf('\u001b[?25l')).toBeLessThanOrEqual(text.lastIndexOf('\u001b[?25h'));
        if (mode === 'rawjson') for (const line of text.split('\n').filter(Boolean)) JSON.parse(line);
        if (mode !== 'tty') for (const line of text.split('\n')) expect(line.startsWith('::')).toBe(false);
      }),
      { numRuns: 150 },
    );
  },
);
