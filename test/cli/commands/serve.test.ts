import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { commandIn } from '../../fakes/command.ts';
import { TempDir } from '../../tree/support.ts';

let dir: TempDir;
beforeAll(() => {
  dir = new TempDir();
  writeFileSync(join(dir.path, 'text'), 'no certificate\n');
  writeFileSync(join(dir.path, 'plain'), 'me:password\n');
});
afterAll(() => dir[Symbol.dispose]());
const { run } = commandIn(() => dir.path, {}, ['serve']);

test.each(['', 'nonsense', '127.0.0.1', 'localhost:http', ':', ':65536', ':-1', '1:2:3', '::1:5000', '[::1', '[::1]', '[zz]:5000', '[127.0.0.1]:5000', 'a b:5000', ' :5000', '5000 ', 'http://localhost:5000', '０:5000x'])(
  '--addr %j is no address',
  async (addr) => {
    const { code, out, err } = await run(`--addr=${addr}`);
    expect([code, out]).toEqual([2, '']);
    expect(err).toBe(
      `error: Cannot use --addr ${JSON.stringify(addr)}: expected HOST:PORT\nhint: for example --addr 127.0.0.1:5000, or --addr :5000 for all addresses of the machine\n`,
    );
  },
); // oxfmt-ignore

test.each([
  [['--tls-cert', 'text'], 2, 'Cannot use --tls-cert without --tls-key, nor the other way round'],
  [['--tls-key', 'text'], 2, 'Cannot use --tls-cert without --tls-key, nor the other way round'],
  [['--tls-cert', 'none', '--tls-key', 'text'], 1, 'Cannot read "none": it does not exist'],
  [['--tls-cert', 'text', '--tls-key', '.'], 2, 'Cannot read ".": it is a directory'],
  [['--htpasswd', 'none'], undefined, 'none'],
  [['--htpasswd', 'plain'], undefined, 'bcrypt'],
  [['extra'], 2, 'too many arguments'],
] as const)('%j is refused before anybody is listened to', async (words, status, why) => {
  const { code, out, err } = await run('--addr=127.0.0.1:0', ...words);
  expect(out).toBe('');
  if (status === undefined) expect(code).toBeGreaterThan(0);
  else expect(code).toBe(status);
  expect(err).toMatch(/^error: /);
  expect(err).toContain(why);
  expect(err).not.toContain('serving');
  expect(err).not.toMatch(/\bE[A-Z]{4,}:|fault of tsbuild/);
});
