import fs from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type BuildRecord, KEPT_LOGS, keepRecord } from '../../src/report/index.ts';
import { keptBuilds, parseRecord } from '../../src/report/kept.ts';
import { Store } from '../../src/store/index.ts';
import { TempDir } from '../tree/support.ts';
import { log, recordOf, vertex } from './support.ts';

const record = (lines: number, text: string, steps = 1): BuildRecord =>
  recordOf(
    Array.from({ length: steps }, (_, at) => `RUN ${at}`).flatMap((name, at) => [
      vertex(name, 'started', at),
      log(name, `${text}\n`.repeat(lines), at + 1),
      vertex(name, 'done', at + 2),
    ]),
    1000,
  );

describe('builds that a store remembers', () => {
  let dir: TempDir;
  let store: Store;
  let now = Date.UTC(2026, 0, 1);
  beforeEach(() => {
    dir = new TempDir();
    store = Store.open(dir.path, { now: () => now++ });
  });
  afterEach(() => {
    store.close();
    dir[Symbol.dispose]();
  });

  test('are there again as they were, the newest first', () => {
    const [first, second] = [record(3, 'one'), record(2, 'two')];
    keepRecord(store, first);
    keepRecord(store, second);
    expect(keptBuilds(store).map(({ record: kept }) => kept)).toEqual([second, first]);
  });

  test('are left out where their file is damaged, or another version wrote it', () => {
    keepRecord(store, record(1, 'whole'));
    const { reports } = store.layout;
    const [whole = ''] = fs.readdirSync(reports);
    const text = fs.readFileSync(join(reports, whole), 'utf8');
    const remains = ['', text.slice(0, 40), 'null', '[]', '{}', text.replace('"version":1', '"version":2'), text.replace(/"vertices":\[.*?\]/, '"vertices":{}'), '\0'.repeat(50)];
    for (const [at, rest] of remains.entries()) fs.writeFileSync(join(reports, `2026010${at}T000000-abcdef.json`), rest);
    fs.symlinkSync('/etc/passwd', join(reports, '20260109T000000-abcdef.json'));
    expect(keptBuilds(store)).toHaveLength(1);
    for (const rest of remains) expect(parseRecord(rest)).toBeUndefined();
  }); // oxfmt-ignore

  test('keep of much output the beginning and the end, and say what is lost (property)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4000 }), fc.integer({ min: 0, max: 60 }), (lines, width) => {
        const whole = record(lines, 'x'.repeat(width));
        keepRecord(store, whole);
        const [before, after] = [whole.vertices[0]?.log, keptBuilds(store)[0]?.record.vertices[0]?.log];
        if (before === undefined || after === undefined) throw new Error('There is no log');
        const size = (all: readonly string[]): number => all.reduce((sum, line) => sum + line.length + 1, 0);
        expect(size(after.lines)).toBeLessThanOrEqual(KEPT_LOGS.head + KEPT_LOGS.tail);
        expect(after.times).toHaveLength(after.lines.length);
        const cut = after.lost?.before ?? after.lines.length;
        expect(after.lines.slice(0, cut)).toEqual(before.lines.slice(0, cut));
        const rest = after.lines.length - cut;
        if (rest > 0) expect(after.lines.slice(-rest)).toEqual(before.lines.slice(-rest));
        expect(after.bytes).toBe(before.bytes);
        expect(size(after.lines) + (after.lost?.bytes ?? 0)).toBe(size(before.lines) + (before.lost?.bytes ?? 0));
      }),
      { numRuns: 40 },
    );
  }); // oxfmt-ignore

  test('take no more for all steps together than there is for them', () => {
    keepRecord(store, record(3000, 'x'.repeat(40), 30));
    const [kept] = keptBuilds(store);
    const sizes = kept?.record.vertices.map(({ log: one }) => one?.lines.join('\n').length ?? 0) ?? [];
    expect(sizes).toHaveLength(30);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(KEPT_LOGS.total);
  });
});
