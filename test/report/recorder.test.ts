import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BoundedLog } from '../../src/report/bounded-log.ts';
import { KEPT_LOGS } from '../../src/report/index.ts';
import { digestOf, factsOf, log, recorded, recordOf, START, vertex } from './support.ts';

describe('the log of a step', () => {
  test('keeps the beginning and the end, whatever the pieces', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 40 }),
        fc.nat({ max: 400 }),
        fc.nat({ max: 400 }),
        (pieces, head, tail) => {
          const budget = { left: 10_000_000 };
          const kept = new BoundedLog({ head, tail, total: 0 }, budget);
          for (const [at, piece] of pieces.entries()) kept.write(piece, 1, at * 7);
          const all = Buffer.concat(pieces);
          const bytes = (part: 'head' | 'tail'): Buffer => Buffer.concat(kept.pieces[part].map(({ data }) => data));
          expect(bytes('head').equals(all.subarray(0, head))).toBe(true);
          const rest = all.subarray(head);
          expect(bytes('tail').equals(rest.subarray(Math.max(0, rest.length - tail)))).toBe(true);
          expect(kept.bytes).toBe(all.length);
          expect(kept.lost).toBe(Math.max(0, all.length - head - tail));
          expect(budget.left).toBe(10_000_000 - bytes('head').length - bytes('tail').length);
        },
      ),
    );
  });

  test('all together take no more than there is', () => {
    const budget = { left: 1000 };
    const logs = Array.from({ length: 30 }, () => new BoundedLog({ head: 100, tail: 100, total: 1000 }, budget));
    for (let round = 0; round < 50; round++) for (const one of logs) one.write(Buffer.alloc(37, 'x'), 1, round);
    const kept = logs.flatMap(({ pieces: { head, tail } }) => [...head, ...tail]);
    expect(kept.reduce((sum, { data }) => sum + data.length, 0)).toBeLessThanOrEqual(1000);
    expect(budget.left).toBeGreaterThanOrEqual(0);
  });

  test('of 10 MB is bounded, and says what it lost', () => {
    const line = `${'0123456789'.repeat(8)}\n`;
    const events = [vertex('RUN much', 'started', 0)];
    for (let at = 0; at < 10_000_000; at += line.length * 100)
      events.push(log('RUN much', line.repeat(100), at / 10_000));
    const record = recordOf([...events, vertex('RUN much', 'done', 1000)], 1000, KEPT_LOGS);
    const [step] = record.vertices;
    expect(JSON.stringify(record).length).toBeLessThan(120_000);
    expect(step?.log?.bytes).toBeGreaterThan(9_990_000);
    const kept = step?.log?.lines.reduce((sum, text) => sum + text.length + 1, 0) ?? 0;
    expect((step?.log?.lost?.bytes ?? 0) + kept).toBeGreaterThan(9_990_000);
    expect(step?.log?.lines[0]).toBe(line.trim());
    expect(step?.log?.lines.at(-1)).toBe(line.trim());
  });

  test('of line ends alone is bounded, too', () => {
    const events = [
      vertex('RUN yes', 'started', 0),
      log('RUN yes', '\n'.repeat(900_000), 5),
      vertex('RUN yes', 'done', 9),
    ];
    expect(factsOf(events, 10).steps[0]?.log?.lines.length).toBe(20_000);
  });

  test('has neither escape sequences nor what a terminal or a page could take for something else', () => {
    const text = '\u001b[31mred\u001b[0m \u001b]0;title\u0007\u202eevil\u2066 nul\0 sep\u2028 \u001b[2Jdone\rover\n';
    const facts = factsOf([vertex('RUN x', 'started', 0), log('RUN x', text, 5), vertex('RUN x', 'done', 9)], 10);
    expect(facts.steps[0]?.log?.lines).toEqual(['over']);
    const kept = factsOf(
      [vertex('RUN x', 'started', 0), log('RUN x', text.replace('\r', ''), 5), vertex('RUN x', 'done', 9)],
      10,
    ).steps[0]?.log?.lines[0];
    expect(kept).toBe('red \\u{202e}evil\\u{2066} nul^@ sep\\u{2028} doneover');
  });

  test('lines of both streams keep their times, and cut characters stay whole', () => {
    const events = [
      vertex('RUN x', 'started', 0),
      { ...log('RUN x', '', 10), data: Buffer.from('é').subarray(0, 1) } as ReturnType<typeof log>,
      log('RUN x', 'error\n', 20, 2),
      { ...log('RUN x', '', 30), data: Buffer.from('é\n').subarray(1) } as ReturnType<typeof log>,
      log('RUN x', 'no end', 60),
      vertex('RUN x', 'done', 70),
    ];
    const kept = factsOf(events, 80).steps[0]?.log;
    expect(kept?.lines).toEqual(['error', 'é', 'no end']);
    expect(kept?.times).toEqual([20, 30, 60]);
  });
});

describe('what is recorded', () => {
  test('a step that ran and was looked at again ran; one at work at the end is not finished', () => {
    const facts = factsOf(
      [
        vertex('[a 1/2] RUN one', 'started', 0),
        vertex('[a 1/2] RUN one', 'done', 10),
        vertex('[a 1/2] RUN one', 'cached', 20),
        vertex('[a 2/2] RUN two', 'started', 12, ['[a 1/2] RUN one']),
      ],
      30,
    );
    expect(facts.steps).toMatchObject([
      { state: 'ran', spans: [[0, 10]], ms: 10, stage: 'a', number: '1/2', text: 'RUN one' },
      { state: 'canceled', spans: [[12, 30]], ms: 18, inputs: [0] },
    ]);
  });

  test('a base image keeps its inputs and gets a second time when its layers are fetched', () => {
    const from = '[1/2] FROM example.com/base:1';
    const layer = `sha256:${'a'.repeat(64)}`;
    const status = (current: number, at: number) =>
      ({
        type: 'status',
        vertex: digestOf(from),
        id: layer,
        current,
        total: 500,
        unit: 'bytes',
        at: START + at,
      }) as const;
    const facts = factsOf(
      [
        vertex(from, 'started', 0, ['x']),
        vertex(from, 'done', 2, ['x']),
        vertex('x', 'cached', 2),
        vertex(from, 'started', 10),
        status(0, 10),
        status(500, 40),
        vertex(from, 'done', 40),
      ],
      50,
    );
    expect(facts.steps[0]).toMatchObject({ kind: 'source', inputs: [1], spans: [[0, 2], [10, 40]] }); // oxfmt-ignore
    expect(facts.transfers).toEqual([
      { step: 0, id: layer, direction: 'down', span: [10, 40], bytes: 500, total: 500 },
    ]);
    expect(facts.summary).toMatchObject({ downloaded: 500, uploaded: 0 });
  });

  test('pushes count as sent, mounts and manifests of files do not', () => {
    const out = 'exporting to image';
    const part = (id: string, current: number) =>
      ({ type: 'status', vertex: digestOf(out), id, current, unit: 'bytes', at: START + 5, completed: true }) as const;
    const facts = factsOf(
      [
        vertex(out, 'started', 0),
        part('pushing sha256:aa', 100),
        part('mounted sha256:bb', 0),
        part('exporting manifest sha256:cc', 700),
        vertex(out, 'done', 9),
      ],
      10,
    );
    expect(facts.transfers.map(({ id, direction }) => [id, direction])).toEqual([['pushing sha256:aa', 'up']]);
    expect(facts.summary.uploaded).toBe(100);
    expect(facts.steps[0]?.kind).toBe('output');
  });

  test('hits count among what ran or was cached, without what is before and after', () => {
    const facts = factsOf(
      [
        vertex('[internal] load metadata for x', 'started', 0),
        vertex('[internal] load metadata for x', 'done', 1),
        vertex('[2/4] RUN a', 'cached', 2),
        vertex('[3/4] RUN b', 'cached', 2),
        vertex('[4/4] RUN c', 'started', 2),
        vertex('[4/4] RUN c', 'done', 4),
      ],
      5,
    );
    expect(facts.summary).toMatchObject({ steps: 3, ran: 1, cached: 2, failed: 0, hitRate: 2 / 3 });
  });

  test('warnings have their place, each once, and no address that is not a web page', () => {
    const diagnostic = {
      code: 'Rule',
      severity: 'warning',
      message: 'do not',
      ranges: [{ file: 'Dockerfile', startLine: 3, endLine: 4 }],
      url: 'javascript:alert(1)',
    } as const;
    const event = { type: 'diagnostic', diagnostic, at: START } as const;
    expect(factsOf([event, event], 1).warnings).toEqual([
      { code: 'Rule', message: 'do not', file: 'Dockerfile', lines: [3, 4] },
    ]);
  });

  test('reasons name the step whose change they are', () => {
    const reason = {
      outcome: 'ran',
      kind: 'input',
      text: 'an input changed',
      differences: [{ what: 'file', name: 'src/a\u202e.ts', change: 'changed', before: 'ab', after: 'cd' }],
      more: 2,
      cause: digestOf('[a 1/2] COPY . .'),
      asked: [],
    } as const;
    const facts = factsOf(
      [
        vertex('[a 1/2] COPY . .', 'pending', 0),
        vertex('[a 2/2] RUN make', 'pending', 0, ['[a 1/2] COPY . .']),
        { type: 'reason', vertex: digestOf('[a 2/2] RUN make'), at: START, reason },
      ],
      1,
    );
    expect(facts.steps[1]?.reason).toEqual({
      kind: 'input',
      text: 'an input changed',
      differences: [{ what: 'file', name: 'src/a\\u{202e}.ts', change: 'changed', before: 'ab', after: 'cd' }],
      more: 2,
      cause: 0,
    });
  });

  test('what steps used is kept with them, and the CPU time of all is added up', () => {
    const usage = { userMs: 1200.5, systemMs: 300, peakMemory: 5000, readBytes: 10, writtenBytes: 20 };
    const names = ['[a 1/2] RUN a', '[a 2/2] RUN b'];
    const events = names.flatMap((name) => [
      vertex(name, 'started', 0),
      { type: 'usage', vertex: digestOf(name), usage, at: START + 5 } as const,
      vertex(name, 'done', 10),
    ]);
    const facts = factsOf([...events, vertex('[a 3/3] COPY x', 'cached', 10)], 20);
    expect(facts.steps.map((one) => one.usage)).toEqual([usage, usage, undefined]);
    expect(facts.summary.cpuMs).toBe(3001);
    expect(factsOf([vertex('x', 'cached', 0)], 1).summary).not.toHaveProperty('cpuMs');
  });

  test('more vertices and parts than any build has are left out', () => {
    const recorder = recorded([]);
    for (let at = 0; at < 10_100; at++) recorder.event(vertex(`RUN ${at}`, 'pending', 0));
    for (let at = 0; at < 600; at++)
      recorder.event({ type: 'status', vertex: digestOf('RUN 1'), id: `part ${at}`, current: 1, at: START });
    const record = recorder.finish({ result: 'canceled', at: START + 1 });
    expect(record.vertices).toHaveLength(10_000);
    expect(record.vertices[1]?.parts).toHaveLength(500);
  });
});
