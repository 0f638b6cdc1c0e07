import * as fc from 'fast-check';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { LogBuffer } from '../../src/store/log-buffer.ts';
import { du, prune } from '../../src/store/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { openStore, removeTrees } from './support.ts';

const dir = mkdtempSync(join(tmpdir(), 'tsbuild-logs-'));
afterAll(() => rmSync(dir, { recursive: true }));

function kept(output: LogBuffer): Buffer {
  const path = join(dir, 'copy');
  const fd = openSync(path, 'w');
  expect(output.copyTo(fd)).toBe(true);
  closeSync(fd);
  return readFileSync(path);
}

describe('the buffer of a log', () => {
  test('keeps the end of what is written, whatever the pieces, and leaves no file', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 50_000, size: 'max' }), { maxLength: 20 }),
        fc.integer({ min: 70_000, max: 200_000 }),
        (pieces, limit) => {
          const path = join(dir, 'spilled', 'log');
          const all = Buffer.concat(pieces);
          using output = new LogBuffer(path, limit);
          for (const piece of pieces) output.write(piece);
          expect(kept(output).equals(all.subarray(Math.max(0, all.length - limit)))).toBe(true);
          expect(output.lost).toBe(Math.max(0, all.length - limit));
          expect(existsSync(path)).toBe(all.length > 65_536);
          output[Symbol.dispose]();
          expect(existsSync(path)).toBe(false);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('one piece that is larger than the limit', () => {
    using output = new LogBuffer(join(dir, 'large'), 1000);
    output.write(Buffer.concat([Buffer.alloc(100_000, 'a'), Buffer.alloc(1000, 'b')]));
    expect(kept(output).toString()).toBe('b'.repeat(1000));
  });

  test('gives up without harm where it cannot write', () => {
    writeFileSync(join(dir, 'file'), '');
    using output = new LogBuffer(join(dir, 'file', 'below'), 1000);
    output.write(Buffer.alloc(100_000));
    output.write(Buffer.alloc(10));
    const fd = openSync(join(dir, 'copy'), 'w');
    expect(output.copyTo(fd)).toBe(false);
    closeSync(fd);
  });
});

describe('logs of failed steps', () => {
  const vertex = sha256('vertex');
  const keep = ({ store }: Pick<ReturnType<typeof openStore>, 'store'>, step: string, text = 'output\n') => {
    using output = store.logs.begin();
    output.write(Buffer.from(text));
    return store.logs.keep(vertex, step, output);
  };

  test('are for their owner alone, and begin with the step', () => {
    using opened = openStore();
    const path = keep(opened, 'RUN one\ntwo') ?? '';
    expect(readFileSync(path, 'utf8')).toBe('RUN one two\noutput\n');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(opened.store.logs.list()).toMatchObject([{ step: 'RUN one two', path }]);
  });

  test('of one step that fails in two builds at once are both kept', () => {
    using one = openStore();
    using two = openStore(one.root);
    const paths = [
      keep(one, 'RUN same', 'first\n'),
      keep(two, 'RUN same', 'second\n'),
      keep(one, 'RUN same', 'third\n'),
    ];
    expect(paths.map((path) => path && readFileSync(path, 'utf8'))).toEqual([
      'RUN same\nfirst\n',
      'RUN same\nsecond\n',
      'RUN same\nthird\n',
    ]);
    expect(one.store.logs.list()).toHaveLength(3);
  });

  test('say what is left out of the beginning', () => {
    using opened = openStore();
    using output = opened.store.logs.begin();
    for (let at = 0; at < 11; at++) output.write(Buffer.alloc(1_000_000, `${at}`.slice(-1)));
    const text = readFileSync(opened.store.logs.keep(vertex, 'RUN much', output) ?? '', 'utf8');
    expect(text.slice(0, 60)).toBe(`RUN much\n[the first 1000000 bytes are left out]\n${'1'.repeat(12)}`);
    expect(text).toHaveLength(48 + 10_000_000);
    expect(readdirSync(join(opened.root, 'ingest', opened.store.session()))).toHaveLength(1);
  });

  test('are twenty at most, the newest', () => {
    using opened = openStore();
    for (let at = 0; at < 25; at++) {
      keep(opened, `RUN ${at}`);
      opened.advance(1);
    }
    const steps = opened.store.logs.list().map(({ step }) => step);
    expect(steps).toEqual(Array.from({ length: 20 }, (_, at) => `RUN ${24 - at}`));
  });

  test('go whatever stands in their place', () => {
    using opened = openStore();
    for (let at = 0; at < 20; at++)
      mkdirSync(join(opened.root, 'logs', `2000010${at % 10}T00000${at > 9 ? 1 : 0}.000-x.log`, 'x'), {
        recursive: true,
      });
    const path = keep(opened, 'RUN false') ?? '';
    expect(readFileSync(path, 'utf8')).toBe('RUN false\noutput\n');
    expect(readdirSync(join(opened.root, 'logs'))).toHaveLength(20);
  });

  test('are counted by du, and freed by prune', async () => {
    using opened = openStore();
    keep(opened, 'RUN false');
    const { store } = opened;
    expect(du(store).records).toContainEqual(
      expect.objectContaining({ type: 'log', description: 'RUN false', size: 4096 }),
    );
    expect(await prune(store, { removeTrees, untilMs: 1e15 })).toMatchObject({ removed: [] });
    expect(await prune(store, { removeTrees, dryRun: true })).toMatchObject({ freedBytes: 4096 });
    expect(await prune(store, { removeTrees })).toMatchObject({ freedBytes: 4096 });
    expect(store.logs.list()).toEqual([]);
  });
});
