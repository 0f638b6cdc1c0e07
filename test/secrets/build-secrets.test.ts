import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { BuildEvent } from '../../src/events/index.ts';
import { BuildSecrets, maskDiagnostic, maskTask, type SecretSource } from '../../src/secrets/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { testTask } from '../support/task.ts';

const dir = fs.mkdtempSync(join(tmpdir(), 'tsbuild-secrets-test-'));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

const LARGEST = 500 * 1024;
const secrets = (all: Readonly<Record<string, SecretSource>>): BuildSecrets =>
  new BuildSecrets(new Map(Object.entries(all)));
const value = (text: string): SecretSource => ({ kind: 'value', value: text });
function file(name: string, content: string | Uint8Array): SecretSource & { readonly path: string } {
  const path = join(dir, name);
  fs.writeFileSync(path, content);
  return { kind: 'file', path };
}

describe('the secrets of a build', () => {
  test('are the bytes of files and variables, and nothing where the request has none', () => {
    const bytes = Uint8Array.of(0xff, 0, 0x0a);
    const all = secrets({ file: file('bytes', bytes), text: value('pässword'), empty: value('') });
    expect(Buffer.from(all.get('file') ?? [])).toEqual(Buffer.from(bytes));
    expect(String(all.get('text'))).toBe('pässword');
    expect(all.get('empty')).toHaveLength(0);
    expect(all.get('other')).toBeUndefined();
  });

  test('are read once: steps get what is hidden, whatever becomes of the file', () => {
    const source = file('changing', 'before-it');
    const all = secrets({ a: source });
    expect(all.mask?.text('before-it after-it')).toBe('*** after-it');
    fs.writeFileSync(source.path, 'after-it');
    expect(String(all.get('a'))).toBe('before-it');
    expect(all.mask?.text('before-it after-it')).toBe('*** after-it');
  });

  test('may have 500 KiB, and not a byte more, from files and variables alike', () => {
    const all = secrets({
      file: file('large', Buffer.alloc(LARGEST)),
      variable: value('x'.repeat(LARGEST)),
      tooLargeFile: file('larger', Buffer.alloc(LARGEST + 1)),
      tooLarge: value('x'.repeat(LARGEST + 1)),
      // Bytes count, not characters.
      wide: value('é'.repeat(LARGEST / 2 + 1)),
    });
    for (const id of ['file', 'variable']) expect(all.get(id)).toHaveLength(LARGEST);
    for (const id of ['tooLargeFile', 'tooLarge', 'wide']) {
      const refused = expect.objectContaining({
        code: 'TSB_USAGE',
        message: expect.stringMatching(new RegExp(`secret "${id}".*: it has more than 512000 bytes$`)),
      });
      // Each time the same: a step may ask again.
      expect(() => all.get(id)).toThrow(refused);
      expect(() => all.get(id)).toThrow(refused);
    }
  });

  test('that cannot be read say which, and do not keep the others from being hidden', () => {
    const gone = join(dir, 'gone');
    const all = secrets({
      gone: { kind: 'file', path: gone },
      dir: { kind: 'file', path: dir },
      good: value('hunter2'),
    });
    expect(all.mask?.text('hunter2')).toBe('***');
    expect(() => all.get('gone')).toThrow(
      expect.objectContaining({ code: 'TSB_NOT_FOUND', message: expect.stringContaining(`"gone" from "${gone}"`) }),
    );
    expect(() => all.get('dir')).toThrow(expect.objectContaining({ code: 'TSB_USAGE' }));
    fs.writeFileSync(gone, 'too late');
    expect(() => all.get('gone')).toThrow(expect.objectContaining({ code: 'TSB_NOT_FOUND' }));
  });

  test('nothing to hide is no mask', () => {
    expect(secrets({}).mask).toBeUndefined();
    expect(secrets({ short: value('abc'), empty: value('') }).mask).toBeUndefined();
  });
});

const SECRET = 'hunter2';
/** Texts with the secret in them, or not. */
const text = fc
  .array(fc.oneof(fc.constant(SECRET), fc.string({ maxLength: 5 })), { maxLength: 4 })
  .map((parts) => parts.join(''));
const vertex = sha256('vertex');
const event: fc.Arbitrary<BuildEvent> = fc.oneof(
  fc.record({
    type: fc.constant('vertex' as const),
    vertex: fc.constant(vertex),
    name: text,
    inputs: fc.constant([]),
    state: fc.constantFrom('started' as const, 'failed' as const),
    at: fc.nat(),
  }),
  fc
    .record({ name: text, error: text, at: fc.nat() })
    .map((rest) => ({ type: 'vertex' as const, vertex, inputs: [], state: 'failed' as const, ...rest })),
  fc.record({
    type: fc.constant('status' as const),
    vertex: fc.constant(vertex),
    id: text,
    current: fc.nat(),
    unit: fc.constant('bytes' as const),
    at: fc.nat(),
  }),
  fc.record({ message: text, at: fc.nat() }).map(({ message, at }) => ({
    type: 'diagnostic' as const,
    diagnostic: { code: 'SomeRule', severity: 'warning' as const, message, ranges: [] },
    at,
  })),
);

describe('events', () => {
  test('have no secret in any text, and nothing else changed', () => {
    const { mask } = secrets({ token: value(SECRET) });
    if (!mask) throw new Error('There is something to hide');
    fc.assert(
      fc.property(event, (sent) => {
        const task = testTask();
        maskTask(mask, task).events(sent);
        const [got] = task.seen;
        // The definition, on the JSON form: no text of these has anything that is written otherwise there within the secret.
        const want = JSON.stringify(sent).replaceAll(new RegExp(`(${SECRET})+`, 'g'), '***');
        expect(JSON.stringify(got)).toBe(want);
        expect(task.seen).toHaveLength(1);
      }),
    );
  });

  test('output of steps passes as it is, which was masked as a stream', () => {
    const { mask } = secrets({ token: value(SECRET) });
    const task = testTask();
    const log: BuildEvent = { type: 'log', vertex, stream: 1, data: Buffer.from(SECRET), at: 1 };
    if (mask) maskTask(mask, task).events(log);
    expect(task.seen).toEqual([log]);
    expect(task.seen[0]).toBe(log);
  });

  test('the signal stays, so that a masked task is canceled with the other', () => {
    const { mask } = secrets({ token: value(SECRET) });
    const task = testTask();
    if (!mask) throw new Error('There is something to hide');
    const masked = maskTask(mask, task);
    task.controller.abort();
    expect(masked.signal.aborted).toBe(true);
    const warning = { code: 'SomeRule', severity: 'warning' as const, ranges: [] };
    expect(maskDiagnostic(mask, { ...warning, message: `ARG ${SECRET}` })).toEqual({ ...warning, message: 'ARG ***' });
  });
});
