import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ObjectPlace, seal } from '../../../src/remote-cache/index.ts';
import { IndexUpdate } from '../../../src/remote-cache/steps/index-update.ts';
import { decodeIndex, encodeIndex, MAX_INDEX_BYTES } from '../../../src/remote-cache/steps/scope-index.ts';
import { isTsbuildError, sha256 } from '../../../src/util/index.ts';
import { MemoryObjects } from '../../fakes/memory-objects.ts';
import { testTask } from '../../support/task.ts';

const name = (text: string): string => sha256(text).slice(7);
const envelope = (text: string, layers: readonly object[] | undefined = []): Buffer =>
  seal(Buffer.from(JSON.stringify({ text, ...(layers === undefined ? {} : { layers }) })), undefined);

/** A scope that builds write to, each with an update of its own. */
class Scope {
  readonly objects = new MemoryObjects();
  readonly place = new ObjectPlace(this.objects, 'main');
  now = 1000;

  update(): IndexUpdate {
    return new IndexUpdate(this.place, () => this.now + 0.5);
  }

  /** Names and times of what is in the index. */
  async entries(): Promise<Record<string, number>> {
    const bytes = await this.place.index(testTask());
    if (bytes === undefined) return {};
    const entries = [...decodeIndex(bytes, 'main', 'x').values()];
    return Object.fromEntries(entries.map((entry) => [entry.name.slice(0, 4), entry.touchedAt]));
  }
}
const short = (text: string): string => name(text).slice(0, 4);

describe('the index of a scope, as builds leave it', () => {
  test('has what was added, with its time; a build with nothing new writes nothing', async () => {
    const scope = new Scope();
    const update = scope.update();
    await update.before(testTask());
    await update.write(testTask());
    expect(scope.objects.requests.some((line) => line.startsWith('put'))).toBe(false);
    update.add(name('a'), envelope('a'));
    await update.write(testTask());
    expect(await scope.entries()).toEqual({ [short('a')]: 1000 });
  });

  test('keeps what others wrote meanwhile', async () => {
    const scope = new Scope();
    const [one, other] = [scope.update(), scope.update()];
    await Promise.all([one.before(testTask()), other.before(testTask())]);
    one.add(name('a'), envelope('a'));
    await one.write(testTask());
    scope.now = 2000;
    other.add(name('b'), envelope('b'));
    await other.write(testTask());
    expect(await scope.entries()).toEqual({ [short('a')]: 1000, [short('b')]: 2000 });
  });

  test('knows what is old and used, and when it was kept from expiring', async () => {
    const scope = new Scope();
    const first = scope.update();
    for (const text of ['a', 'b']) first.add(name(text), envelope(text));
    await first.write(testTask());
    scope.now = 5000;
    const second = scope.update();
    expect([...(await second.before(testTask())).keys()].toSorted()).toEqual([name('a'), name('b')].toSorted());
    second.use(name('a'));
    second.use(name('unknown'));
    expect(second.usedBefore(1000)).toEqual([]);
    expect(second.usedBefore(1001).map((entry) => entry.name)).toEqual([name('a')]);
    second.touched(name('a'));
    second.touched(name('unknown'));
    await second.write(testTask());
    expect(await scope.entries()).toEqual({ [short('a')]: 5000, [short('b')]: 1000 });
  });

  test('loses what is gone, also where somebody else has just kept it young', async () => {
    const scope = new Scope();
    const first = scope.update();
    for (const text of ['a', 'b']) first.add(name(text), envelope(text));
    await first.write(testTask());
    const second = scope.update();
    await second.before(testTask());
    second.touched(name('a'));
    await second.write(testTask(), [name('a')]);
    expect(Object.keys(await scope.entries())).toEqual([short('b')]);
  });

  test('tells results from records that only lead on', async () => {
    const scope = new Scope();
    const first = scope.update();
    first.add(name('result'), envelope('result', []));
    first.add(name('alias'), seal(Buffer.from('{}'), undefined));
    first.add(name('damaged'), Buffer.from('no envelope'));
    await first.write(testTask());
    const known = await scope.update().before(testTask());
    expect(['result', 'alias', 'damaged'].map((text) => known.get(name(text))?.hasLayers)).toEqual([
      true,
      false,
      false,
    ]);
  });

  test('that is damaged is written anew, and one that cannot be reached is left alone', async () => {
    for (const damage of [Buffer.from('no gzip'), gzipSync('{'), gzipSync('{"version":2}'), encodeIndex('other', [])]) {
      const scope = new Scope();
      await scope.place.putIndex(testTask(), damage);
      const update = scope.update();
      expect((await update.before(testTask())).size).toBe(0);
      update.add(name('a'), envelope('a'));
      await update.write(testTask());
      expect(await scope.entries()).toEqual({ [short('a')]: 1000 });
    }
    const scope = new Scope();
    const update = scope.update();
    update.add(name('a'), envelope('a'));
    const task = testTask();
    scope.objects.before = (line) => {
      if (line.startsWith('get')) task.controller.abort(new Error('Ctrl-C'));
    };
    await expect(update.write(task)).rejects.toThrow('Ctrl-C');
    expect(scope.objects.objects.size).toBe(0);
  });
});

describe('what an index is written as', () => {
  test('is read again, whatever is in it', () => {
    const entry = fc.record({
      name: fc.nat().map((seed) => name(String(seed))),
      touchedAt: fc.nat(2 ** 31 - 1),
      envelope: fc.string({ unit: 'grapheme', maxLength: 50 }).map((text) => Buffer.from(text)),
    });
    fc.assert(
      fc.property(fc.uniqueArray(entry, { selector: (one) => one.name }), (entries) => {
        const read = decodeIndex(encodeIndex('main', entries), 'main', 'x');
        expect(read).toEqual(new Map(entries.map((one) => [one.name, one])));
      }),
      { numRuns: 50 },
    );
  });

  test('has at most 5000 records, those that were touched last', () => {
    const entries = Array.from({ length: 5001 }, (_, at) => ({ name: name(String(at)), touchedAt: at, envelope: Buffer.of(65) })); // oxfmt-ignore
    const read = decodeIndex(encodeIndex('main', entries), 'main', 'x');
    expect([read.size, read.has(name('0')), read.has(name('1')), read.has(name('5000'))]).toEqual([
      5000,
      false,
      true,
      true,
    ]);
  });

  const document = (records: readonly unknown[]): unknown => ({ version: 1, scope: 'main', records });
  const record = { name: name('a'), touchedAt: 1, envelope: 'x' };
  test.each<[string, unknown, RegExp]>([
    ['a list', [], /./],
    ['another version', { ...(document([]) as object), version: 2 }, /a newer tsbuild wrote it/],
    ['another scope', { ...(document([]) as object), scope: 'pr' }, /"scope" is another one/],
    ['no records', { version: 1, scope: 'main' }, /"records"/],
    ['too many records', document(Array.from({ length: 5001 }, () => record)), /"records"/],
    ['a record that is none', document([7]), /"records\[0\]"/],
    ['a record without a name', document([{ ...record, name: 7 }]), /"records\[0\]\.name"/],
    ['no time', document([record, { ...record, touchedAt: '1' }]), /"records\[1\]\.touchedAt" is not a time/],
    ['a time before all', document([{ ...record, touchedAt: -1 }]), /is not a time/],
    ['a time after all', document([{ ...record, touchedAt: 1e16 }]), /is not a time/],
    ['an envelope that is too large', document([{ ...record, envelope: 'x'.repeat(800_000) }]), /is too large/],
  ])('is refused when it is %s', (_what, value, message) => {
    try {
      decodeIndex(gzipSync(JSON.stringify(value)), 'main', 'the index');
      expect.unreachable();
    } catch (error) {
      expect(isTsbuildError(error, 'TSB_IMAGE')).toBe(true);
      expect((error as Error).message).toMatch(message);
    }
  });

  test('that grows without end when it is inflated is not', () => {
    expect(() => decodeIndex(gzipSync(Buffer.alloc(40 << 20)), 'main', 'x')).toThrow(
      expect.objectContaining({ code: 'ERR_BUFFER_TOO_LARGE' }),
    );
  });

  test('leaves out the oldest until it is small enough, and never fails', () => {
    const noise = (at: number): Buffer =>
      Buffer.from(Array.from({ length: 12_000 }, (_, part) => sha256(`${at} ${part}`).slice(7)).join(''));
    const entries = Array.from({ length: 9 }, (_, at) => ({
      name: name(String(at)),
      touchedAt: at,
      envelope: noise(at),
    }));
    const bytes = encodeIndex('main', entries);
    expect(bytes.length).toBeLessThanOrEqual(MAX_INDEX_BYTES);
    const read = decodeIndex(bytes, 'main', 'x');
    expect(read.size).toBeGreaterThan(0);
    expect(read.has(name('8'))).toBe(true);
    expect(read.has(name('0'))).toBe(false);
  });
});
