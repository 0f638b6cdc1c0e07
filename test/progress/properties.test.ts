import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ProgressMode, ProgressOptions } from '../../src/progress/index.ts';
import type { VertexState } from '../../src/events/index.ts';
import { Stage } from './support.ts';

/** Something that happens in a build, and how long after what was before. */
type Happening = { readonly after: number } & (
  | { readonly kind: 'vertex'; readonly step: number; readonly state: VertexState; readonly name: string; readonly error: string }
  | { readonly kind: 'log'; readonly step: number; readonly stream: 1 | 2; readonly text: string }
  | { readonly kind: 'status'; readonly step: number; readonly id: string; readonly current: number; readonly total: number; readonly completed: boolean }
  | { readonly kind: 'warn'; readonly step: number; readonly text: string }
  | { readonly kind: 'resize'; readonly columns: number; readonly rows: number }
); // oxfmt-ignore

/** What hostile and ordinary texts are made of. Widths are known: see `widthOf`. */
const PIECES: readonly string[] = [
  'step', 'a', ' ', '\t', '\n', '\r', '\r\n', '#1 DONE', '::error::', '漢', '字', 'é', 'e\u0301', '😀', '한', '\u0000', '\u001b[2J',
  '\u001b[31m', '\u001b]0;title\u0007', '\u001b', '\u009b1m', '\u202e', '\u2028', '\u007f', '\u0008', 'x'.repeat(40), '='.repeat(90),
]; // oxfmt-ignore
const piece = fc.constantFrom(...PIECES);
const text = fc.array(piece, { maxLength: 8 }).map((parts) => parts.join(''));
const step = fc.nat(4);

const happening: fc.Arbitrary<Happening> = fc
  .tuple(
    fc.oneof(
      { weight: 4, arbitrary: fc.nat(200) },
      { weight: 1, arbitrary: fc.nat(20_000) },
      // A clock that was set back.
      { weight: 1, arbitrary: fc.integer({ min: -10_000, max: 0 }) },
    ),
    fc.oneof(
      fc.record({
        kind: fc.constant('vertex' as const),
        step,
        state: fc.constantFrom<VertexState>('pending', 'started', 'cached', 'done', 'failed', 'canceled'),
        name: text,
        error: text,
      }),
      fc.record({ kind: fc.constant('log' as const), step, stream: fc.constantFrom(1 as const, 2 as const), text }),
      fc.record({
        kind: fc.constant('status' as const),
        step,
        id: text,
        current: fc.nat(5_000_000_000),
        total: fc.nat(5_000_000_000),
        completed: fc.boolean(),
      }),
      fc.record({ kind: fc.constant('warn' as const), step, text }),
      fc.record({
        kind: fc.constant('resize' as const),
        columns: fc.integer({ min: 1, max: 120 }),
        rows: fc.integer({ min: 1, max: 40 }),
      }),
    ),
  )
  .map(([after, rest]) => ({ after, ...rest }));

const build = fc.array(happening, { maxLength: 40 });

/** Plays a build; `seen` is told what was written by each happening. */
async function play(
  mode: ProgressMode,
  happenings: readonly Happening[],
  options: Partial<ProgressOptions> = {},
  seen: (written: string, stage: Stage, last: boolean) => void = () => undefined,
): Promise<Stage> {
  const stage = new Stage(mode, options);
  for (const one of happenings) {
    const before = stage.text.length;
    const name = `s${'step' in one ? one.step : ''}`;
    stage.time += one.after;
    switch (one.kind) {
      case 'vertex':
        stage.send({
          type: 'vertex', vertex: `sha256:${name}` as never, name: one.name, inputs: [], state: one.state, at: stage.time,
          ...(one.state === 'failed' ? { error: one.error } : {}),
        }); // oxfmt-ignore
        break;
      case 'log':
        stage.send({
          type: 'log',
          vertex: `sha256:${name}` as never,
          stream: one.stream,
          data: Buffer.from(one.text),
          at: stage.time,
        });
        break;
      case 'status':
        stage.send({ type: 'status', vertex: `sha256:${name}` as never, id: one.id, current: one.current, total: one.total, completed: one.completed, at: stage.time }); // oxfmt-ignore
        break;
      case 'warn':
        stage.warn(undefined, 'Rule', one.text);
        break;
      case 'resize':
        stage.columns = one.columns;
        stage.rows = one.rows;
        break;
    }
    stage.pass(0);
    seen(stage.text.slice(before), stage, false);
  }
  const before = stage.text.length;
  await stage.close();
  seen(stage.text.slice(before), stage, true);
  return stage;
}

// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;
// eslint-disable-next-line no-control-regex
const SEQUENCES = /\u001b\[(?:\?25[lh]|\d+A|K|J|[\d;]*m)/g;

/** Columns of text that is made of the pieces above. */
function widthOf(line: string): number {
  let width = 0;
  for (const char of line) width += char === '\u0301' ? 0 : /[漢字한😀]/u.test(char) ? 2 : 1;
  return width;
}

describe('whatever happens in a build', () => {
  test('plain output is lines of steps that cannot play with a terminal (TTY-01, TTY-02)', async () => {
    await fc.assert(
      fc.asyncProperty(build, fc.boolean(), async (happenings, truncate) => {
        const { text: shown } = await play('plain', happenings, { truncate });
        expect(shown).not.toMatch(CONTROL);
        expect(shown === '' || shown.endsWith('\n')).toBe(true);
        expect(shown.isWellFormed()).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('plain output tells every line that a step printed, once, under its step', async () => {
    const line = fc.record({ step: fc.nat(3), stream: fc.constantFrom(1 as const, 2 as const), after: fc.nat(3000) });
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 40 }), async (lines) => {
        const start = [0, 1, 2, 3].map((number): Happening => ({
          kind: 'vertex',
          step: number,
          state: 'started',
          name: `step-${number}`,
          error: '',
          after: 0,
        }));
        const logs = lines.map(({ stream, after, step: number }, at): Happening => ({
          kind: 'log', step: number, stream, text: `<${number}.${at}>\n`, after,
        })); // oxfmt-ignore
        const { text: shown } = await play('plain', [...start, ...logs]);
        const numbers = new Map([...shown.matchAll(/^#(\d+) step-(\d)$/gm)].map(([, number, name]) => [name, number]));
        for (const [at, { step: number }] of lines.entries()) {
          const found = shown.split('\n').filter((one) => one.endsWith(`<${number}.${at}>`));
          expect(found).toHaveLength(1);
          expect(found[0]).toMatch(new RegExp(`^#${numbers.get(String(number)) ?? 'none'} `));
        }
      }),
      { numRuns: 100 },
    );
  });

  test('a terminal gets frames that fit, and no sequences but those that draw them (TTY-01, TTY-02, TTY-05)', async () => {
    await fc.assert(
      fc.asyncProperty(build, text, async (happenings, label) => {
        await play(
          'tty',
          happenings,
          { label: label.replaceAll(/[\n\t]/g, '').replaceAll(new RegExp(CONTROL, 'g'), '') },
          (written, { columns = 80, rows = 24 }, last) => {
            const bare = written.replaceAll(SEQUENCES, '').replaceAll('\r', '');
            expect(bare).not.toMatch(CONTROL);
            // What a failed step printed stands below the last frame, as it is.
            expect(bare.split('------')[0]).not.toMatch(/\t/);
            expect(bare.isWellFormed()).toBe(true);
            for (const frame of written.split('\u001b[?25l').slice(1)) {
              const [drawn = ''] = frame.split('\u001b[J');
              const lines = drawn.replaceAll(SEQUENCES, '').replaceAll('\r', '').split('\n');
              // The last frame stays, and may be longer than the screen; the cursor stands on the line after a frame.
              if (!last && rows > 1) expect(lines.length).toBeLessThanOrEqual(rows);
              for (const line of lines) expect(widthOf(line), line).toBeLessThanOrEqual(Math.max(columns, 1));
            }
          },
        );
      }),
      { numRuns: 300 },
    );
  });

  test('raw JSON is one document per line, in bytes that no terminal minds', async () => {
    await fc.assert(
      fc.asyncProperty(build, async (happenings) => {
        const { text: shown } = await play('rawjson', happenings);
        expect(shown).not.toMatch(CONTROL);
        const documents = shown.split('\n').slice(0, -1).map((line) => JSON.parse(line) as Record<string, readonly unknown[]>); // oxfmt-ignore
        const vertexes = documents.flatMap((one) => one['vertexes'] ?? []) as readonly { readonly name: string }[];
        expect(vertexes.map(({ name }) => name)).toEqual(
          happenings.flatMap((one) => (one.kind === 'vertex' ? [one.name] : [])),
        );
      }),
      { numRuns: 200 },
    );
  });

  test('quiet says nothing but what failed steps printed', async () => {
    await fc.assert(
      fc.asyncProperty(build, async (happenings) => {
        const { text: shown } = await play('quiet', happenings);
        expect(shown).not.toMatch(CONTROL);
        const last = new Map(happenings.flatMap((one) => (one.kind === 'vertex' ? [[one.step, one.state]] : [])));
        const failed = [...last.values()].filter((state) => state === 'failed').length;
        expect(shown.match(/^ > /gm)?.length ?? 0).toBeGreaterThanOrEqual(failed);
        if (failed === 0) expect(shown).toBe('');
      }),
      { numRuns: 200 },
    );
  });
});

describe('text that is cut', () => {
  test('is cut between characters, in names and in lines without end', async () => {
    const stage = new Stage('plain', { truncate: true });
    stage.vertex('x'.repeat(71) + '😀'.repeat(3), 'started');
    stage.log('x'.repeat(71) + '😀'.repeat(3), `y${'😀'.repeat(20_000)}\n`);
    const shown = await stage.close();
    expect(shown.isWellFormed()).toBe(true);
    expect(shown.match(/😀/gu)?.length).toBeGreaterThanOrEqual(20_000);
  });

  test('with tabs is cut where a terminal comes to its edge', () => {
    const stage = new Stage('tty');
    stage.columns = 40;
    stage.vertex('make', 'started');
    stage.log('make', 'one\ttwo\n漢字\t|\n\t\t\t\tfar\n');
    stage.pass(200);
    const frame = stage.writes.at(-1)?.replaceAll(SEQUENCES, '').split('\n') ?? [];
    // Stops are those of the line that was printed: columns of a table stay columns.
    expect(frame.slice(2, 5)).toEqual([' => => # one     two', ' => => # 漢字    |', ` => => # ${' '.repeat(30)}`]);
    for (const line of frame) expect(widthOf(line)).toBeLessThanOrEqual(40);
  });
});
