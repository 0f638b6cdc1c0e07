import { appendFileSync, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EventReader, LogReader } from '../../src/containers/index.ts';
import { TempDir } from '../tree/support.ts';

const AT = '2026-01-01T00:00:00.000000000Z';
const lineOf = (text: string): string => `${AT} stdout F ${text}\n`;
const event = (text: string): string => `${JSON.stringify({ time: AT, action: text })}\n`;

/** As the supervisor does it (native/src/contain-log.c): log becomes log.1, log.1 becomes log.2, and the last one goes. */
function rotate(dir: string, files: number): void {
  for (let number = files - 1; number > 0; number--) {
    const from = join(dir, number === 1 ? 'log' : `log.${number - 1}`);
    if (existsSync(from)) renameSync(from, join(dir, `log.${number}`));
  }
  if (files === 1) rmSync(join(dir, 'log'), { force: true });
  writeFileSync(join(dir, 'log'), '');
}

describe('a log that is read on', () => {
  test('has the lines of files that came and went between two looks, as long as they are there', () => {
    using dir = new TempDir();
    dir.write('log', lineOf('one'));
    using reader = new LogReader(dir.path);
    const texts = (): readonly string[] => [...reader.read()].map(({ data }) => data.toString().trim());
    expect(texts()).toEqual(['one']);
    for (const text of ['two', 'three', 'four']) {
      rotate(dir.path, 5);
      appendFileSync(join(dir.path, 'log'), lineOf(text));
    }
    expect(texts()).toEqual(['two', 'three', 'four']);
  });

  test('has every line once, in order, whatever is written, rotated and read when (property)', () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ kind: fc.constant('write' as const), lines: fc.integer({ min: 1, max: 3 }) }),
        fc.record({ kind: fc.constant('rotate' as const), lines: fc.constant(0) }),
        fc.record({ kind: fc.constant('read' as const), lines: fc.constant(0) }),
      ),
      { maxLength: 20, size: 'max' },
    );
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 4 }), (all, files) => {
        using dir = new TempDir();
        using reader = new LogReader(dir.path);
        writeFileSync(join(dir.path, 'log'), '');
        let count = 0;
        /** What the files have, the newest first; what nobody has read yet of each. */
        let there: { unread: string[]; isOpen: boolean }[] = [{ unread: [], isOpen: false }];
        for (const { kind, lines } of [...all, { kind: 'read' as const, lines: 0 }]) {
          if (kind === 'write') {
            for (let line = 0; line < lines; line++) {
              appendFileSync(join(dir.path, 'log'), lineOf(String(++count)));
              there[0]?.unread.push(String(count));
            }
          } else if (kind === 'rotate') {
            rotate(dir.path, files);
            there = [{ unread: [], isOpen: false }, ...there];
            // Who has a file open reads what is in it, also when its last name is gone.
            there = there.filter(({ isOpen }, at) => at < files || isOpen);
          } else {
            const wanted = there.toReversed().flatMap(({ unread }) => unread.splice(0));
            expect([...reader.read()].map(({ data }) => data.toString().trim())).toEqual(wanted);
            for (const [at, file] of there.entries()) file.isOpen = at === 0;
            there = there.filter((_, at) => at < files);
          }
        }
      }),
      { numRuns: 30 },
    );
  });

  test('drops what a power cut has left of a line, and nothing of the next file', () => {
    using dir = new TempDir();
    dir.write('log.1', `${lineOf('one')}${AT} stdout F half a li`);
    dir.write('log', lineOf('two'));
    using reader = new LogReader(dir.path);
    expect([...reader.read()].map(({ data }) => data.toString())).toEqual(['one\n', 'two\n']);
  });

  test('of a container that was removed meanwhile ends', () => {
    using dir = new TempDir();
    const own = dir.mkdir('container');
    dir.write('container/log', lineOf('one'));
    using reader = new LogReader(own);
    expect([...reader.read()]).toHaveLength(1);
    rmSync(own, { recursive: true });
    expect([...reader.read()]).toEqual([]);
  });

  test('of ten thousand lines and of one that is longer than a piece is whole', () => {
    using dir = new TempDir();
    const long = 'x'.repeat(200_000);
    dir.write('log.1', Array.from({ length: 10_000 }, (_, at) => lineOf(String(at))).join(''));
    dir.write('log', lineOf(long));
    using reader = new LogReader(dir.path);
    const entries = [...reader.read()];
    expect(entries).toHaveLength(10_001);
    expect(entries[9999]?.data.toString()).toBe('9999\n');
    expect(entries.at(-1)?.data.toString()).toBe(`${long}\n`);
  });
});

test('events that came before and after a new file are told, where that was replaced between two looks', () => {
  using dir = new TempDir();
  const path = join(dir.path, 'events');
  using reader = new EventReader(dir.path);
  const actions = (): readonly string[] => [...reader.read()].map(({ action }) => action);
  writeFileSync(path, event('create'));
  expect(actions()).toEqual(['create']);
  appendFileSync(path, event('start'));
  renameSync(path, `${path}.1`);
  writeFileSync(path, event('die'));
  renameSync(path, `${path}.1`);
  writeFileSync(path, event('destroy'));
  expect(actions()).toEqual(['start', 'die', 'destroy']);
  expect(actions()).toEqual([]);
});
