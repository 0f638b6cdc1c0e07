import { describe, expect, test } from 'vitest';
import { Stage } from './support.ts';

describe('plain', () => {
  test('a build from one end to the other', async () => {
    const stage = new Stage('plain', { description: 'building with tsbuild' });
    const load = '[internal] load build definition from Dockerfile';
    stage.vertex(load, 'started').pass(100).status(load, 'transferring dockerfile:', 0);
    stage.status(load, 'transferring dockerfile:', 227, { completed: true }).vertex(load, 'done').pass(150);
    for (const name of ['[base 1/2] FROM alpine', '[base 2/2] RUN echo hi', '[stage-1 1/1] COPY . .'])
      stage.vertex(name, 'pending');
    stage.vertex('[base 1/2] FROM alpine', 'cached').vertex('[base 2/2] RUN echo hi', 'started');
    stage.pass(62).log('[base 2/2] RUN echo hi', 'hi\n').pass(150);
    stage.vertex('[base 2/2] RUN echo hi', 'done').pass(150);
    stage.vertex('[stage-1 1/1] COPY . .', 'started').pass(5).vertex('[stage-1 1/1] COPY . .', 'done');
    expect(await stage.close()).toMatchInlineSnapshot(`
      "#0 building with tsbuild

      #1 [internal] load build definition from Dockerfile
      #1 transferring dockerfile: 227B done
      #1 DONE 0.1s

      #2 [base 1/2] FROM alpine
      #2 CACHED

      #3 [base 2/2] RUN echo hi
      #3 0.062 hi
      #3 DONE 0.2s

      #4 [stage-1 1/1] COPY . .
      #4 DONE 0.0s
      "
    `);
  });

  test('a failure: the error, who was canceled, and the last lines of the step', async () => {
    const stage = new Stage('plain');
    stage.vertex('[1/2] FROM alpine', 'started').vertex('[2/2] RUN x', 'started').pass(62);
    stage.log('[2/2] RUN x', Array.from({ length: 12 }, (_, at) => `line ${at}\n`).join(''), 1);
    stage.log('[2/2] RUN x', '/bin/sh: x: not found\n', 2).pass(40);
    stage.vertex('[2/2] RUN x', 'failed', 'process "/bin/sh -c x" did not complete successfully: exit code: 127');
    stage.vertex('[1/2] FROM alpine', 'canceled');
    const text = await stage.close();
    expect(text).toContain('#2 ERROR: process "/bin/sh -c x" did not complete successfully: exit code: 127\n');
    expect(text).toContain('#1 [1/2] FROM alpine\n#1 CANCELED\n');
    expect(text.slice(text.indexOf('------'))).toMatchInlineSnapshot(`
      "------
       > [2/2] RUN x:
      0.062 line 3
      0.062 line 4
      0.062 line 5
      0.062 line 6
      0.062 line 7
      0.062 line 8
      0.062 line 9
      0.062 line 10
      0.062 line 11
      0.062 /bin/sh: x: not found
      ------
      "
    `);
  });

  test('two steps at once: bursts, the one left is marked, headers repeat', async () => {
    const stage = new Stage('plain');
    stage.vertex('a', 'started').log('a', 'a1\n').pass(100).vertex('b', 'started').log('b', 'b1\n').pass(100);
    stage.log('a', 'a2\n').pass(100).log('a', 'a3\n').pass(12_000).log('a', 'a4\n').pass(150);
    stage.vertex('b', 'done').vertex('a', 'done');
    expect(await stage.close()).toMatchInlineSnapshot(`
      "#1 a
      #1 0.000 a1
      #1 0.200 a2
      #1 0.300 a3
      #1 ...

      #2 b
      #2 0.000 b1
      #2 ...

      #1 a
      #1 12.30 a4
      #1 DONE 12.4s

      #2 b
      #2 DONE 12.3s
      "
    `);
  });

  test('the steady step is not interrupted by every line of another one', async () => {
    const stage = new Stage('plain');
    stage.vertex('a', 'started').vertex('b', 'started').pass(150);
    for (let at = 0; at < 40; at++) stage.log('a', `a${at}\n`).log('b', `b${at}\n`).pass(100);
    expect(stage.text.match(/\.\.\./g)?.length ?? 0).toBeLessThanOrEqual(2);
    const text = await stage.close();
    for (let at = 0; at < 40; at++) expect(text).toContain(` a${at}\n`);
    for (let at = 0; at < 40; at++) expect(text).toContain(` b${at}\n`);
  });

  test('times have as many decimals as fit', async () => {
    const stage = new Stage('plain');
    stage.vertex('a', 'started');
    for (const ms of [1, 9_998, 2, 89_899, 201]) stage.pass(ms).log('a', 'x\n');
    expect((await stage.close()).match(/#1 \S+ x/g)).toEqual([
      '#1 0.001 x',
      '#1 9.999 x',
      '#1 10.00 x',
      '#1 99.90 x',
      '#1 100.1 x',
    ]);
  });

  test('transfers are told of at 5 % or 5 s, and at their end', async () => {
    const stage = new Stage('plain');
    stage.vertex('pull', 'started');
    for (let mb = 0; mb <= 100; mb += 2) stage.status('pull', 'sha256:abc', mb * 1e6, { total: 100e6 }).pass(150);
    stage.status('pull', 'sha256:abc', 100e6, { total: 100e6, completed: true }).vertex('pull', 'done');
    const lines = (await stage.close()).split('\n').filter((line) => line.includes('sha256:abc'));
    expect(lines.slice(0, 2)).toEqual(['#1 sha256:abc 0B / 100.00MB', '#1 sha256:abc 6.00MB / 100.00MB 0.5s']);
    expect(lines.at(-1)).toBe('#1 sha256:abc 100.00MB / 100.00MB 7.7s done');
    expect(lines.length).toBeLessThanOrEqual(22);
  });

  test('counts are not bytes', async () => {
    const stage = new Stage('plain').vertex('a', 'started');
    stage.status('a', 'extracting', 3, { total: 7, unit: 'count' }).pass(200);
    expect(stage.text).toContain('#1 extracting 3 / 7\n');
  });

  test('a step that resumes adds to its time', async () => {
    const stage = new Stage('plain');
    stage
      .vertex('a', 'started')
      .pass(1000)
      .vertex('a', 'done')
      .pass(5000)
      .vertex('a', 'started')
      .pass(500)
      .vertex('a', 'done');
    expect((await stage.close()).match(/DONE .*/g)).toEqual(['DONE 1.0s', 'DONE 1.5s']);
  });

  test('warnings', async () => {
    const stage = new Stage('plain')
      .vertex('load', 'started')
      .warn('load', 'FromAsCasing', "'as' and 'FROM' keywords' casing do not match", 3);
    stage.warn('load', 'FromAsCasing', "'as' and 'FROM' keywords' casing do not match", 3).vertex('load', 'done');
    const text = await stage.close();
    expect(text.match(/#1 WARN: .*/g)).toEqual([
      "#1 WARN: FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 3)",
    ]);
    expect(stage.progress.warnings).toHaveLength(1);
  });

  test('an unfinished line shows after a second, once', async () => {
    const stage = new Stage('plain').vertex('a', 'started').log('a', 'Continue? [y/N] ').pass(150);
    expect(stage.text).toBe('#1 a\n');
    stage.pass(1000);
    expect(stage.text).toBe('#1 a\n#1 0.000 Continue? [y/N]\n');
    stage.log('a', 'aborted\n');
    expect(await stage.close()).toBe('#1 a\n#1 0.000 Continue? [y/N]\n#1 1.150 aborted\n');
  });

  test('PROGRESS_NO_TRUNC=0 cuts names', async () => {
    const stage = new Stage('plain', { truncate: true }).vertex('x'.repeat(100), 'cached');
    expect(await stage.close()).toBe(`#1 ${'x'.repeat(72)}...\n#1 CACHED\n`);
  });
});

describe('what comes from outside', () => {
  test('cannot play with the terminal (TTY-01, TTY-02)', async () => {
    const evil = '\u001b]0;title\u0007\u001b[2J\u001b[6n\u009b31m\u0007\u202e\rdone';
    const stage = new Stage('plain').vertex(`RUN ${evil}`, 'started');
    stage
      .log(`RUN ${evil}`, `${evil}\nbad \u001b]52;c;AAAA\u0007\u001b[2Jtext\n`)
      .status(`RUN ${evil}`, evil, 1)
      .warn(`RUN ${evil}`, 'X', evil);
    stage.vertex(`RUN ${evil}`, 'failed', evil);
    const text = await stage.close();
    // eslint-disable-next-line no-control-regex
    expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(text).toContain('#1 RUN ^[]0;title^G^[[2J^[[6n');
    expect(text).toContain('#1 0.000 bad text\n');
  });

  test('cannot give commands to a CI system: nothing of it starts a line (TTY-03)', async () => {
    const stage = new Stage('plain').vertex('RUN x\n::set-output name=a::b', 'started');
    stage.log('RUN x\n::set-output name=a::b', '::set-output name=a::b\n##vso[task.x]\n\r::add-mask::x\n::stop');
    stage.vertex('RUN x\n::set-output name=a::b', 'failed', 'x\n::error::y');
    for (const line of (await stage.close()).split('\n')) expect(line).not.toMatch(/^(?:::|##)/);
  });

  test('keeps colours on a terminal only, and ends them', async () => {
    const plain = new Stage('plain').vertex('a', 'started').log('a', '\u001b[32mgreen\u001b[0m ok\n');
    expect(await plain.close()).toBe('#1 a\n#1 0.000 green ok\n');
    const tty = new Stage('plain', { isTTY: true }).vertex('a', 'started').log('a', '\u001b[32mgreen\n');
    expect(await tty.close()).toBe('#1 a\n#1 0.000 \u001b[32mgreen\u001b[0m\n');
    const none = new Stage('plain', { isTTY: true, noColor: true })
      .vertex('a', 'started')
      .log('a', '\u001b[32mgreen\n');
    expect(await none.close()).toBe('#1 a\n#1 0.000 green\n');
  });

  test('may be bytes that are no text, cut anywhere (TTY-04)', async () => {
    const stage = new Stage('plain').vertex('a', 'started');
    for (const byte of Buffer.from('héé €\n')) stage.log('a', Uint8Array.of(byte));
    stage.log('a', Uint8Array.of(0xff, 0xfe, 0x41, 0x0a));
    expect(await stage.close()).toBe('#1 a\n#1 0.000 héé €\n#1 0.000 \ufffd\ufffdA\n');
  });

  test('overwrites its own line: the last state counts', async () => {
    const stage = new Stage('plain').vertex('a', 'started').log('a', '10%\r50%\r100%\r\ndone\r\n');
    expect(await stage.close()).toBe('#1 a\n#1 0.000 100%\n#1 0.000 done\n');
  });
});

describe('log limits (TTY-04)', () => {
  test('2 MiB per step, with the end of what was clipped', async () => {
    const stage = new Stage('plain', { logMaxSpeed: -1 }).vertex('a', 'started');
    for (let at = 0; at < 3 * 1024; at++) stage.log('a', `${String(at).padStart(6)} ${'x'.repeat(1016)}\n`);
    stage.log('a', 'the end\n').vertex('a', 'done');
    const text = await stage.close();
    expect(text.match(/output clipped/g)).toHaveLength(1);
    expect(text).toContain('[output clipped, log limit 2MiB reached]\n');
    expect(text).toContain('the end\n');
    expect(text.length).toBeLessThan(2.5 * 1024 * 1024);
  });

  test('200 KiB per second', async () => {
    const stage = new Stage('plain').vertex('a', 'started');
    stage
      .log('a', `${'y'.repeat(1023)}\n`.repeat(300))
      .pass(2000)
      .log('a', 'later\n')
      .vertex('a', 'done');
    const text = await stage.close();
    expect(text).toContain('[output clipped, log limit 200KiB/s reached]\n');
    expect(text).toContain(' later\n');
  });

  test('-1 is no limit', async () => {
    const stage = new Stage('plain', { logMaxSize: -1, logMaxSpeed: -1 }).vertex('a', 'started');
    stage.log('a', `${'z'.repeat(1023)}\n`.repeat(4096));
    expect((await stage.close()).length).toBeGreaterThan(4 * 1024 * 1024);
  });

  test('a line without end does not pile up', () => {
    const stage = new Stage('plain', { logMaxSize: -1, logMaxSpeed: -1 }).vertex('a', 'started');
    const piece = Buffer.alloc(1024 * 1024, 'w');
    for (let at = 0; at < 20; at++) stage.log('a', piece).pass(150);
    expect(stage.text.length).toBeGreaterThan(19 * 1024 * 1024);
  });
});

describe('the reader (TTY-04, TTY-05)', () => {
  test('lags behind: nothing is written meanwhile, nothing is lost', async () => {
    const stage = new Stage('plain');
    stage.waiting = [];
    stage.vertex('a', 'started').pass(150);
    const before = stage.writes.length;
    for (let at = 0; at < 50; at++) stage.log('a', `l${at}\n`).pass(150);
    expect(stage.writes.length).toBe(before);
    for (const taken of stage.waiting.splice(0)) taken();
    stage.pass(150);
    expect(stage.text).toContain(' l49\n');
    const closed = stage.close();
    for (const taken of stage.waiting.splice(0)) taken();
    await closed;
  });

  test('goes away: the build goes on', async () => {
    const stage = new Stage('plain');
    stage.waiting = [];
    stage.vertex('a', 'started').pass(150);
    for (const taken of stage.waiting.splice(0)) taken(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    const written = stage.writes.length;
    stage.log('a', 'more\n').pass(500).vertex('a', 'done');
    await stage.close();
    expect(stage.writes.length).toBe(written);
  });

  test('throws: the build goes on', async () => {
    const stage = new Stage('plain', {
      output: {
        write: () => {
          throw new Error('write after end');
        },
      },
    });
    stage.vertex('a', 'started').pass(200).vertex('a', 'done');
    await expect(stage.close()).resolves.toBe('');
  });
});
