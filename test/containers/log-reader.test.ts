import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LogReader, type LogEntry, selectEntries } from '../../src/containers/index.ts';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'log-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const at = (second: number): string => `2026-01-01T00:00:0${second}.000000000Z`;
const texts = (entries: Iterable<LogEntry>): readonly string[] =>
  [...entries].map(({ stream, data }) => `${stream}:${data.toString()}`);

test('reads what is there, the older file first, and then what is added, over a rotation', () => {
  writeFileSync(join(dir, 'log.1'), `${at(1)} stdout F one\n`);
  writeFileSync(join(dir, 'log'), `${at(2)} stderr F two\n${at(3)} stdout P thr`);
  using reader = new LogReader(dir);
  expect(texts(reader.read())).toEqual(['1:one\n', '2:two\n']);
  expect(texts(reader.read())).toEqual([]);
  appendFileSync(join(dir, 'log'), `ee\n${at(4)} stdout F  F stdout\n`);
  expect(texts(reader.read())).toEqual(['1:three', '1: F stdout\n']);
  appendFileSync(join(dir, 'log'), `${at(5)} stdout F five\n`);
  renameSync(join(dir, 'log'), join(dir, 'log.1'));
  writeFileSync(join(dir, 'log'), `${at(6)} stdout F six\n`);
  expect(texts(reader.read())).toEqual(['1:five\n', '1:six\n']);
});

test('begins with nothing, leaves out what is no entry, and keeps bytes that are no text', () => {
  using reader = new LogReader(dir);
  expect(texts(reader.read())).toEqual([]);
  writeFileSync(
    join(dir, 'log'),
    Buffer.concat([Buffer.from(`nonsense\n\n${at(1)} stdout F `), Buffer.from([0xff, 0, 0x0d, 10])]),
  );
  expect([...reader.read()].map(({ data }) => [...data])).toEqual([[0xff, 0, 0x0d, 10]]);
});

test('selects by time and by whole lines', () => {
  const entry = (second: number, text: string): LogEntry => ({ time: at(second), stream: 1, data: Buffer.from(text) });
  const entries = [entry(1, 'a\n'), entry(2, 'b, '), entry(3, 'still b\n'), entry(4, 'c\n'), entry(5, 'd')];
  const select = (options: Parameters<typeof selectEntries>[1]): string =>
    selectEntries(entries, options)
      .map(({ data }) => data.toString())
      .join('');
  expect(select({})).toBe('a\nb, still b\nc\nd');
  expect(select({ tail: 0 })).toBe('');
  expect(select({ tail: 1 })).toBe('d');
  expect(select({ tail: 3 })).toBe('b, still b\nc\nd');
  expect(select({ tail: 99 })).toBe('a\nb, still b\nc\nd');
  expect(select({ since: at(4) })).toBe('c\nd');
  expect(select({ until: at(3), tail: 1 })).toBe('b, still b\n');
});

describe('the last lines', () => {
  const part = (text: string, stream: 1 | 2 = 1): LogEntry => ({ time: at(1), stream, data: Buffer.from(text) });
  const tailOf = (entries: readonly LogEntry[], tail: number): string =>
    texts(selectEntries(entries, { tail })).join('');

  test('are whole, however many entries they are of', () => {
    // The supervisor writes an entry for each 16 KiB of a line.
    const long = [...Array.from({ length: 3000 }, (_, number) => part(`${number} `)), part('end\n')];
    const entries = [part('before\n'), ...long, part('after\n')];
    expect(selectEntries(entries, { tail: 2 })).toEqual([...long, part('after\n')]);
    expect(selectEntries(entries, { tail: 3 })).toHaveLength(entries.length);
    expect(selectEntries([...long, ...long, ...long], { tail: 2 })).toHaveLength(2 * long.length);
  });

  test('are those of either stream, also where both are in the midst of one', () => {
    const entries = [part('old\n'), part('out '), part('err ', 2), part('put\n'), part('or\n', 2)];
    expect(tailOf(entries, 1)).toBe('2:err 2:or\n');
    expect(tailOf(entries, 2)).toBe('1:out 2:err 1:put\n2:or\n');
    expect(tailOf([...entries, part('pro'), part('mpt')], 1)).toBe('1:pro1:mpt');
    expect(tailOf([part('a'), part('b', 2), part('c\n', 2)], 1)).toBe('1:a');
  });

  test('are as many as were asked for, in order, and nothing of others (property)', () => {
    const piece = fc.record({ stream: fc.constantFrom(1 as const, 2 as const), ends: fc.boolean() });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 80 }), fc.nat(12), (pieces, tail) => {
        const entries = pieces.map(({ stream, ends }, number) => part(ends ? `${number}\n` : `${number} `, stream));
        const selected = selectEntries(entries, { tail });
        // What is left of each stream is a number of whole lines of its end.
        let lines = 0;
        for (const stream of [1, 2] as const) {
          const own = entries.filter((entry) => entry.stream === stream).map(({ data }) => data.toString()).join('');
          const left = selected.filter((entry) => entry.stream === stream).map(({ data }) => data.toString()).join('');
          expect(own.endsWith(left)).toBe(true);
          const before = own.slice(0, own.length - left.length);
          expect(before === '' || before.endsWith('\n') || left === '').toBe(true);
          lines += left.split(/(?<=\n)/).filter(Boolean).length;
        }
        const all = [1, 2].flatMap((stream) =>
          entries.filter((entry) => entry.stream === stream).map(({ data }) => data.toString()).join('').split(/(?<=\n)/).filter(Boolean),
        );
        expect(lines).toBe(Math.min(tail, all.length));
        expect(selected).toEqual(entries.filter((entry) => selected.includes(entry)));
      }),
    ); // oxfmt-ignore
  });
});
