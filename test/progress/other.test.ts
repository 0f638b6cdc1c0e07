import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import {
  createPalette,
  createProgress,
  formatFailure,
  formatWarnings,
  type ProgressMode,
} from '../../src/progress/index.ts';
import type { Diagnostic } from '../../src/util/index.ts';
import { id, Stage } from './support.ts';

describe('choice of a display', () => {
  test.each<[ProgressMode, boolean, string | undefined, string]>([
    ['auto', true, 'xterm', 'tty'],
    ['auto', true, 'dumb', 'plain'],
    ['auto', false, 'xterm', 'plain'],
    ['plain', true, 'xterm', 'plain'],
    ['tty', true, 'dumb', 'tty'],
    ['quiet', true, undefined, 'quiet'],
    ['rawjson', false, undefined, 'rawjson'],
    ['none', false, undefined, 'none'],
  ])('%s with isTTY %s and TERM=%s is %s', (mode, isTTY, term, expected) => {
    const { progress } = new Stage(mode, { isTTY, ...(term === undefined ? {} : { term }) });
    expect(progress.mode).toBe(expected);
  });

  test('tty needs a terminal', () => {
    expect(() => new Stage('tty', { isTTY: false })).toThrow(
      'Cannot show progress "tty": the output is not a terminal',
    );
  });
});

test('quiet shows the output of failed steps only, none nothing', async () => {
  for (const mode of ['quiet', 'none'] as const) {
    const stage = new Stage(mode).vertex('ok', 'started').log('ok', 'fine\n').vertex('ok', 'done');
    stage
      .vertex('[2/2] RUN x', 'started')
      .pass(10)
      .log('[2/2] RUN x', 'no\n')
      .vertex('[2/2] RUN x', 'failed', 'exit code: 1');
    expect(await stage.close()).toBe(mode === 'quiet' ? '------\n > [2/2] RUN x:\n0.010 no\n------\n' : '');
  }
});

test('rawjson is a line of SolveStatus per event', async () => {
  const stage = new Stage('rawjson').vertex('a', 'pending').vertex('a', 'started').pass(1500);
  stage
    .log('a', 'hi\n', 2)
    .status('a', 'layer', 5, { total: 10 })
    .pass(500)
    .status('a', 'layer', 10, { total: 10, completed: true });
  stage
    .warn('a', 'Rule', 'text', 3)
    .vertex('a', 'done')
    .vertex('b', 'cached')
    .vertex('c', 'started')
    .vertex('c', 'canceled');
  stage.vertex('d', 'failed', 'exit code: 1');
  const lines = (await stage.close()).trimEnd().split('\n');
  const at = (ms: number): string => new Date(1_700_000_000_000 + ms).toISOString();
  expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
    { vertexes: [{ digest: id('a'), name: 'a' }] },
    { vertexes: [{ digest: id('a'), name: 'a', started: at(0) }] },
    { logs: [{ vertex: id('a'), stream: 2, data: 'aGkK', timestamp: at(1500) }] },
    { statuses: [{ id: 'layer', vertex: id('a'), total: 10, current: 5, timestamp: at(1500), started: at(1500) }] },
    {
      statuses: [
        {
          id: 'layer',
          vertex: id('a'),
          total: 10,
          current: 10,
          timestamp: at(2000),
          started: at(1500),
          completed: at(2000),
        },
      ],
    },
    {
      warnings: [
        {
          vertex: id('a'),
          level: 1,
          short: Buffer.from('Rule: text (line 3)').toString('base64'),
          sourceInfo: { filename: 'Dockerfile' },
          range: [{ start: { line: 3 }, end: { line: 3 } }],
        },
      ],
    },
    { vertexes: [{ digest: id('a'), name: 'a', started: at(0), completed: at(2000) }] },
    { vertexes: [{ digest: id('b'), name: 'b', started: at(2000), completed: at(2000), cached: true }] },
    { vertexes: [{ digest: id('c'), name: 'c', started: at(2000) }] },
    { vertexes: [{ digest: id('c'), name: 'c', started: at(2000), completed: at(2000), error: 'context canceled' }] },
    { vertexes: [{ digest: id('d'), name: 'd', started: at(2000), completed: at(2000), error: 'exit code: 1' }] },
  ]);
});

test('a real stream and timer: all is written when close resolves, and an error of the stream does no harm', async () => {
  const stream = new PassThrough();
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const progress = createProgress({ mode: 'plain', output: stream, now: Date.now });
  progress.events({ type: 'vertex', vertex: id('a'), name: 'a', inputs: [], state: 'cached', at: Date.now() });
  await progress.close();
  await progress.close();
  progress.events({ type: 'vertex', vertex: id('b'), name: 'b', inputs: [], state: 'cached', at: Date.now() });
  expect(text).toBe('#1 a\n#1 CACHED\n');
  stream.destroy(new Error('write EPIPE'));
  await progress.close();
});

describe('the last words', () => {
  test('of a failed build', () => {
    const message = 'process "/bin/sh -c what" did not complete successfully: exit code: 127';
    const excerpt = 'Dockerfile:3\n--------------------\n   3 | >>> run what\n--------------------\n';
    expect(formatFailure({ message, solving: true, excerpt, hint: 'Install it' })).toBe(
      `${excerpt}error: failed to solve: ${message}\nhint: Install it\n`,
    );
    expect(formatFailure({ message: 'Cannot read \u001b[2Jx' })).toBe('error: Cannot read ^[[2Jx\n');
    expect(formatFailure({ message: 'x', palette: createPalette() })).toBe('\u001b[31merror:\u001b[0m x\n');
  });

  const warning = (code: string, startLine: number, more: Partial<Diagnostic> = {}): Diagnostic => ({
    code,
    severity: 'warning',
    message: 'text',
    ranges: [{ file: 'Dockerfile', startLine, endLine: startLine }],
    ...more,
  });

  test('about warnings', () => {
    expect(formatWarnings([])).toBe('');
    expect(formatWarnings([warning('A', 1)])).toBe(
      '\n 1 warning found (use --debug to expand):\n - A: text (line 1)\n',
    );
    expect(formatWarnings([warning('A', 1), warning('B', 2)], { palette: createPalette() })).toBe(
      '\n\u001b[33m 2 warnings found (use --debug to expand):\u001b[0m\n - A: text (line 1)\n - B: text (line 2)\n',
    );
    const full = warning('A', 1, { description: 'About it', url: 'https://example.com/a' });
    expect(formatWarnings([full], { expand: true, excerpt: () => 'Dockerfile:1\n' })).toBe(
      '\n 1 warning found:\n\nA: text (line 1)\nAbout it\nMore info: https://example.com/a\nDockerfile:1\n',
    );
  });
});

describe('what steps used', () => {
  const usage = { userMs: 9000, systemMs: 1125, peakMemory: 340e6, readBytes: 512, writtenBytes: 1.2e9 };

  test('stands at the end of a plain log, by the numbers of the steps, for those that took the most', async () => {
    const stage = new Stage('plain').vertex('first', 'started').vertex('first', 'done').pass(200);
    for (let at = 0; at < 12; at++) {
      const name = `RUN ${at}`;
      stage.vertex(name, 'started').pass(200);
      stage.send({ type: 'usage', vertex: id(name), usage: { ...usage, userMs: 1000 * at }, at: stage.time });
      stage.vertex(name, at === 11 ? 'failed' : 'done', 'no').pass(200);
    }
    const text = await stage.close();
    const lines = text.split('\n').filter((line) => line.includes(' used '));
    expect(lines).toHaveLength(10);
    expect(lines[0]).toBe('#4 used 3.13s CPU, 340.00MB memory, 512B read, 1.20GB written');
    expect(lines.at(-1)).toMatch(/^#13 used 12\.13s CPU, /);
    expect(text.indexOf('#13 used')).toBeLessThan(text.indexOf('------'));
  });

  test('is told to programs with the vertex that it is of', async () => {
    const stage = new Stage('rawjson').send({
      type: 'usage',
      vertex: id('a'),
      usage: { ...usage, groupMemory: 400e6 },
      at: 0,
    });
    expect(JSON.parse(await stage.close())).toEqual({
      usages: [
        {
          vertex: id('a'),
          cpuUser: 9e9,
          cpuSystem: 1.125e9,
          peakMemory: 340e6,
          groupMemory: 400e6,
          readBytes: 512,
          writtenBytes: 1.2e9,
          timestamp: '1970-01-01T00:00:00.000Z',
        },
      ],
    });
  });
});
