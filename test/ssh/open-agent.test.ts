import { spawnSync } from 'node:child_process';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openAgent } from '../../src/ssh/index.ts';
import { kinds, makeKey } from './support.ts';

const dir = mkdtempDisposableSync(join(tmpdir(), 'tsbuild-ssh-'));
const at = (name: string): string => join(dir.path, name);
const server = createServer();
beforeAll(async () => {
  makeKey(dir.path, 'key', kinds['ed25519'] ?? []);
  makeKey(dir.path, 'locked', kinds['ed25519'] ?? [], 'passphrase');
  writeFileSync(at('junk'), 'junk');
  writeFileSync(at('large'), Buffer.alloc(100 * 1024 + 1, 'x'));
  spawnSync('mkfifo', [at('pipe')]);
  server.listen(at('socket'));
  await once(server, 'listening');
});
afterAll(() => {
  server.close();
  dir.remove();
});

test.each([[['socket']], [['key']], [['key', 'key']]])('%j is an agent', (names) => {
  expect(openAgent('default', names.map(at))).toHaveProperty('connect');
});

test.each([
  [['key', 'socket'], 'TSB_USAGE', /Cannot use --ssh deploy: keys and an agent cannot be combined/],
  [['socket', 'key'], 'TSB_USAGE', /keys and an agent cannot be combined/],
  [['socket', 'socket'], 'TSB_USAGE', /there can be only one agent/],
  [['missing'], 'TSB_NOT_FOUND', /missing": it does not exist/],
  [['key', 'junk'], 'TSB_USAGE', /junk": it holds no private key/],
  [['locked'], 'TSB_USAGE', /locked": it is encrypted with a passphrase/],
  [['large'], 'TSB_USAGE', /large": it has more than 102400 bytes/],
  [['.'], 'TSB_USAGE', /it is neither a socket nor a regular file/],
  [['pipe'], 'TSB_USAGE', /it is neither a socket nor a regular file/],
])('%j is none', (names, code, message) => {
  expect(() => openAgent('deploy', names.map(at))).toThrow(
    expect.objectContaining({ code, message: expect.stringMatching(message) as string }),
  );
});
