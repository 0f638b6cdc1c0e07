import { randomBytes } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Mask } from '../../src/secrets/mask.ts';
import { hiddenForms } from '../../src/secrets/values.ts';

const formsOf = (text: string): readonly string[] => hiddenForms(Buffer.from(text)).map(String);
const masked = (secret: string | Uint8Array, text: string): string =>
  new Mask(hiddenForms(Buffer.from(secret))).text(text);

describe('what is hidden of a secret', () => {
  test('the value, whatever white space is around it', () => {
    expect(masked('hunter2\n', 'it is hunter2')).toBe('it is ***');
    expect(masked('  hunter2\r\n', '"hunter2"')).toBe('"***"');
  });

  test('nothing of values shorter than four bytes', () => {
    for (const secret of ['', '\n', '123', ' 123 \n', '\n\n\n\n\n', 'ab\nc']) {
      const forms = formsOf(secret);
      for (const form of forms) expect(form.length).toBeGreaterThanOrEqual(4);
      if (secret.trim().length < 4) expect(forms).toEqual([]);
    }
    expect(masked('1234', '12345')).toBe('***5');
    expect(masked('äö', 'äö')).toBe('***');
  });

  test('each line of several, but not those that are too short', () => {
    const key = '-----BEGIN KEY-----\r\n  c2VjcmV0\r\n  }\r\n-----END KEY-----\r\n';
    expect(masked(key, `cat:\n${key}`)).toBe('cat:\n***\r\n');
    expect(masked(key, 'c2VjcmV0 in a sentence, and } alone')).toBe('*** in a sentence, and } alone');
    expect(masked(key, '-----END KEY-----')).toBe('***');
  });

  test('the value in base64, also within more', () => {
    fc.assert(
      fc.property(
        fc
          .uint8Array({ minLength: 4, maxLength: 80 })
          .filter((bytes) => !/^\s|\s$/.test(Buffer.from(bytes).toString('latin1'))),
        fc.string({ maxLength: 5 }),
        fc.string({ maxLength: 5 }),
        fc.constantFrom('base64' as const, 'base64url' as const),
        (value, before, after, encoding) => {
          const size = (text: string): number => Buffer.byteLength(text);
          const text = Buffer.concat([Buffer.from(before), value, Buffer.from(after)]).toString(encoding);
          const out = masked(value, text);
          // Characters that hold bits of what is around may stay: one at each side, with padding.
          const rest = out.split('***');
          expect(rest.length).toBeGreaterThan(1);
          expect(rest[0]?.length).toBeLessThanOrEqual(Math.ceil((size(before) * 4) / 3) + 1);
          expect(rest.at(-1)?.length).toBeLessThanOrEqual(Math.ceil((size(after) * 4) / 3) + 4);
        },
      ),
    );
    expect(masked('hunter2', Buffer.from('user:hunter2').toString('base64'))).toBe('dXNlcjp***');
    expect(masked('hunter2', Buffer.from('hunter2').toString('base64'))).toBe('***');
    // The newline of the file is in the last character with the end of the value.
    expect(masked('hunter2\n', Buffer.from('hunter2\n').toString('base64'))).toBe('***o=');
  });

  test('a binary value, and the text that a variable makes of it', () => {
    const secret = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('key')]);
    const stream = new Mask(hiddenForms(secret)).stream();
    expect(String(stream.push(Buffer.concat([Buffer.from('<'), secret, Buffer.from('>')])))).toBe('<***>');
    expect(masked(secret, `<${secret.toString()}>`)).toBe('<***>');
  });

  test('a whole file of the largest size, without its base64', () => {
    const secret = randomBytes(500 * 1024);
    // White space at its ends would not count.
    secret[0] = secret[secret.length - 1] = 0x80;
    const forms = hiddenForms(secret);
    expect(forms.some((form) => Buffer.from(form).equals(secret))).toBe(true);
    expect(forms.reduce((sum, { length }) => sum + length, 0)).toBeLessThan(10 * secret.length);
  });
});
