import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type GitRequest, GitSource } from '../../src/source/index.ts';
import { hasGit } from '../support/git-server.ts';
import { packet, startGitTalk } from '../support/git-talk.ts';
import { plainRequest } from './plain-request.ts';
import { testTask } from '../support/task.ts';

const HASH = 'a'.repeat(40);

describe.skipIf(!hasGit)('servers of the git protocol that mean harm', () => {
  let dir: string;
  let source: GitSource;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'tsbuild-git-hostile-'));
    source = new GitSource({
      temporary: () => mkdtempSync(join(dir, 'x')),
      home: '/nonexistent',
      now: () => 0,
      limits: { stallMs: 20_000 },
    });
  });
  afterEach(() => {
    expect(readdirSync(dir)).toEqual([]);
    rmSync(dir, { recursive: true });
  });

  const request = (url: string, ref: string): GitRequest => ({
    ...plainRequest,
    url,
    ref,
  });

  test('an error with control characters (GIT-08)', async () => {
    await using server = await startGitTalk((socket) => {
      socket.end(packet('ERR \u001b]0;title\u0007\u001b[2J\u202ehttps://user:SECRET@host/x\u009b6n\n'));
    });
    const error = String(
      await source.resolve(testTask(), request(server.url, 'main')).catch((thrown: unknown) => thrown),
    );
    // git itself shows what is no text as a question mark; the rest is ours.
    expect(error).toContain('remote error: ?]0;title??[2J\\u{202e}https://xxxxx:xxxxx@host');
    expect(error).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]|SECRET/); // eslint-disable-line no-control-regex
  });

  test('messages without end, beside the pack and in its place (GIT-08, GIT-11)', async () => {
    await using server = await startGitTalk(async (socket) => {
      socket.write(
        Buffer.concat([
          packet(`${HASH} refs/heads/main\0side-band-64k shallow allow-reachable-sha1-in-want\n`),
          Buffer.from('0000'),
        ]),
      );
      await once(socket, 'data');
      socket.write(packet('NAK\n'));
      const line = packet(Buffer.concat([Buffer.from([2]), Buffer.from(`\u001b[31m${'x'.repeat(60_000)}\n`)]));
      while (!socket.destroyed)
        if (!socket.write(line)) await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
    });
    let told = 0;
    const before = process.memoryUsage().rss;
    await expect(
      source.checkout(testTask(), request(server.url, HASH), { sha: HASH }, (data) => {
        told += data.length;
      }),
    ).rejects.toMatchObject({ code: 'TSB_NETWORK', message: expect.stringContaining('messages without end') });
    expect(told).toBeLessThan(1 << 20);
    expect(process.memoryUsage().rss - before).toBeLessThan(200 << 20);
  });

  test('a hundred thousand names, and names that are none (GIT-02, GIT-11)', async () => {
    const names = ['--upload-pack=x', '-x', 'a b', 'a..b', '../../x', 'x\u001b[2J', 'main.lock', '@{u}'];
    await using server = await startGitTalk((socket) => {
      const lines = [...Array.from({ length: 100_000 }, (_, at) => `b${at}`), ...names].map((name) =>
        packet(`${HASH} refs/heads/${name}\n`),
      );
      socket.end(
        Buffer.concat([
          packet(`${HASH} HEAD\0symref=HEAD:refs/heads/--upload-pack=touch agent=x\n`),
          ...lines,
          Buffer.from('0000'),
        ]),
      );
    });
    expect(await source.resolve(testTask(), request(server.url, 'b99999'))).toEqual({
      sha: HASH,
      ref: 'refs/heads/b99999',
    });
    expect(await source.resolve(testTask(), request(server.url, ''))).toEqual({ sha: HASH });
  });

  test('a pack of another commit, or none at all (GIT-09)', async () => {
    await using server = await startGitTalk(async (socket) => {
      socket.write(Buffer.concat([packet(`${HASH} refs/heads/main\0side-band-64k shallow\n`), Buffer.from('0000')]));
      await once(socket, 'data');
      // An empty pack and its sha1.
      const pack = Buffer.from('5041434b0000000200000000029d08823bd8a8eab510ad6ac75c823cfd3ed31e', 'hex');
      socket.end(
        Buffer.concat([packet('NAK\n'), packet(Buffer.concat([Buffer.from([1]), pack])), Buffer.from('0000')]),
      );
    });
    await expect(
      source.checkout(testTask(), request(server.url, 'main'), { sha: HASH, ref: 'refs/heads/main' }),
    ).rejects.toMatchObject({
      code: expect.stringMatching(/^TSB_(NOT_FOUND|NETWORK)$/),
    });
  });
});
