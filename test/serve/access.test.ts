import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashSync } from 'bcryptjs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isLoopback, openAccess, parsePasswords } from '../../src/serve/access.ts';
import { Fault } from '../../src/serve/fault.ts';

let dir: string;
let file: string;
let now: number;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tsbuild-access-'));
  file = join(dir, 'htpasswd');
  now = 1_700_000_000_000;
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const SECRET = hashSync('secret', 4);

function asked(authorization?: string): IncomingMessage {
  return { headers: authorization === undefined ? {} : { authorization } } as IncomingMessage;
}

const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;

/** The status that a request is refused with; 200 for one that is let in. */
async function statusOf(
  access: ReturnType<typeof openAccess>,
  authorization?: string,
  writes = false,
): Promise<number> {
  try {
    await access.check(asked(authorization), writes);
    return 200;
  } catch (error) {
    if (error instanceof Fault) return error.status;
    throw error;
  }
}

const open = (writable = true): ReturnType<typeof openAccess> => openAccess({ htpasswd: file, writable }, () => now);

describe('passwords', () => {
  const headers: readonly (readonly [string, string | undefined, number])[] = [
    ['the right one', basic('ada:secret'), 200],
    ['in any case of the scheme', basic('ada:secret').replace('Basic', 'bAsIc'), 200],
    ['with a colon within', basic('eve:a:b'), 200],
    ['of letters beyond ASCII', basic('zoë:pässwörd'), 200],
    ['nothing', undefined, 401],
    ['an empty header', '', 401],
    ['no password', basic('ada'), 401],
    ['an empty password', basic('ada:'), 401],
    ['the password of another', basic('eve:secret'), 401],
    ['a longer one', basic('ada:secret '), 401],
    ['whom there is not', basic('__proto__:secret'), 401],
    ['what is no base64', 'Basic ada:secret', 401],
    ['another scheme', `Bearer ${Buffer.from('ada:secret').toString('base64')}`, 401],
    ['two of them', `${basic('ada:secret')}, ${basic('ada:secret')}`, 401],
  ];
  test.each(headers)('%s', async (_what, authorization, status) => {
    writeFileSync(file, `ada:${SECRET}\r\n\n# more\neve:${hashSync('a:b', 4)}\nzoë:${hashSync('pässwörd', 4)}\n`);
    expect(await statusOf(open(), authorization)).toBe(status);
  });

  test('one that was taken out of the file counts no more, nor does any while there is no file', async () => {
    writeFileSync(file, `ada:${SECRET}\n`);
    const access = open();
    expect(await statusOf(access, basic('ada:secret'))).toBe(200);
    writeFileSync(file, '# nobody\n');
    expect(await statusOf(access, basic('ada:secret'))).toBe(401);
    rmSync(file);
    await expect(access.check(asked(basic('ada:secret')), false)).rejects.toThrow(
      expect.objectContaining({ code: 'TSB_NOT_FOUND', message: expect.stringContaining(file) as string }),
    );
    writeFileSync(file, `ada:${SECRET}\n`);
    expect(await statusOf(access, basic('ada:secret'))).toBe(200);
  });

  test('many that guess at the same time do not keep the right one out', async () => {
    writeFileSync(file, `ada:${SECRET}\n`);
    const access = open();
    const all = Array.from({ length: 30 }, (_, at) => statusOf(access, basic(at === 29 ? 'ada:secret' : `ada:${at}`)));
    expect((await Promise.all(all)).map(String)).toEqual([...Array<string>(29).fill('401'), '200']);
  });

  test('who may read and who may write', async () => {
    writeFileSync(file, `ada:${SECRET}\n`);
    const readOnly = open(false);
    expect(await statusOf(readOnly, basic('ada:secret'))).toBe(200);
    expect(await statusOf(readOnly, basic('ada:secret'), true)).toBe(403);
    // Who is not known is not told what may be done.
    expect(await statusOf(readOnly, undefined, true)).toBe(401);
    const free = openAccess({ writable: false }, () => now);
    expect([await statusOf(free), await statusOf(free, undefined, true)]).toEqual([200, 403]);
  });
});

describe('the file of passwords', () => {
  const hash = SECRET;
  const bad: readonly (readonly [string, string, number])[] = [
    ['no colon', 'ada', 1],
    ['no name', `:${hash}`, 1],
    ['no hash', 'ada:', 1],
    ['a password in the clear', '# one\nada:secret', 2],
    ['MD5', `ada:${hash}\nbob:$apr1$abc$def`, 2],
    ['a hash that is cut off', `ada:${hash.slice(0, -1)}`, 1],
    ['more behind it', `ada:${hash}:x`, 1],
    ['a space behind it', `ada:${hash} `, 1],
    ['a byte order mark as a line', '\ufeff', 0],
  ];
  test.each(bad)('with %s is refused, with the line', (_what, text, line) => {
    if (line === 0) expect(parsePasswords(text, 'f').size).toBe(0);
    else
      expect(() => parsePasswords(text, '/etc/my "passwords"')).toThrow(
        `Cannot use the passwords "/etc/my \\"passwords\\"": line ${line} is not a name and a bcrypt hash`,
      );
  });

  test('of two lines for one name the last counts; empty lines and comments are passed over', () => {
    const other = hashSync('other', 4);
    const read = parsePasswords(`\n# ada:x\nada:${hash}\r\n  \nada:${other}\n`, 'f');
    expect([...read]).toEqual([['ada', other]]);
    expect(parsePasswords('', 'f').size).toBe(0);
  });

  test.each(['a', 'b', 'y'])('takes the $2%s$ of all programs that write it', (letter) => {
    expect(parsePasswords(`ada:${hash.replace(/^\$2./, `$2${letter}`)}`, 'f').has('ada')).toBe(true);
  });
});

test('addresses of this machine alone', () => {
  for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '::1'])
    expect([host, isLoopback(host)]).toEqual([host, true]);
  for (const host of ['0.0.0.0', '::', '127.0.0.1.example.com', '10.0.0.1', 'localhost.example.com', '', '128.0.0.1'])
    expect([host, isLoopback(host)]).toEqual([host, false]);
});
