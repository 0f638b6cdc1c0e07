import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
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
