import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { commandAs, everyone, type Who } from '../sandbox/support/run-as.ts';

const program = fileURLToPath(new URL('./run-program.ts', import.meta.url));
const terminal = fileURLToPath(new URL('./play-terminal.py', import.meta.url));

interface Ended {
  readonly out: string;
  readonly err: string;
  readonly code: number | null;
}

function start(who: Who, options: Readonly<Record<string, unknown>>): { child: ChildProcess; ended: Promise<Ended> } {
  const [command = '', ...args] = commandAs(who, [process.execPath, program, JSON.stringify(options)]);
  const child = spawn(command, args, {
    stdio: 'pipe',
    cwd: '/',
    env: { ...process.env, PASSED: 'on', SECRET: 'canary' },
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr.on('data', (data: Buffer) => (err += data.toString()));
  const ended = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ out, err, code })));
  return { child, ended };
}

const run = (who: Who, options: Readonly<Record<string, unknown>>): Promise<Ended> => start(who, options).ended;
const sh = (text: string): { command: readonly string[] } => ({ command: ['/bin/sh', '-c', text] });

/** Plays a script with the container on a terminal. */
async function play(
  who: Who,
  script: unknown,
  options: Readonly<Record<string, unknown>>,
): Promise<{ output: string; status: number; restored: boolean; rest: number }> {
  const command = commandAs(who, [process.execPath, program, JSON.stringify(options)]);
  const child = spawn('python3', [terminal, JSON.stringify(script), ...command], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (data: Buffer) => (out += data.toString()));
  await new Promise((resolve) => child.once('close', resolve));
  return JSON.parse(out) as { output: string; status: number; restored: boolean; rest: number };
}

let shared: string;
beforeAll(() => {
  shared = mkdtempSync(join(tmpdir(), 'tsbuild-volume-'));
  chmodSync(shared, 0o755);
  mkdirSync(join(shared, 'data'));
  chmodSync(join(shared, 'data'), 0o777);
  writeFileSync(join(shared, 'data', 'file'), 'from the machine\n');
});
afterAll(() => rmSync(shared, { recursive: true, force: true }));

describe.each(everyone)('a container (%s)', (who) => {
  test('exit codes follow docker run', async () => {
    const cases: readonly (readonly [Readonly<Record<string, unknown>>, number])[] = [
      [sh('exit 0'), 0],
      [sh('exit 42'), 42],
      [{ command: ['/bin/missing'] }, 127],
      [{ command: ['missing'] }, 127],
      [{ command: ['/etc/passwd'] }, 126],
      [{ command: ['/etc'] }, 126],
      [{ command: ['true'], user: 'nobody-here' }, 125],
      [{ command: ['true'], workdir: 'relative' }, 125],
      [{ command: ['true'], workdir: '/etc/passwd' }, 125],
      [{ command: ['true'], volumes: ['/proc/does/not/exist:/x'] }, 125],
      [{ imageConfig: { Cmd: [] } }, 125],
    ];
    for (const [options, code] of cases) {
      const ended = await run(who, options);
      expect([options, ended.code, ended.err === '']).toEqual([options, code, code < 100]);
    }
  });

  test('command, entrypoint, environment, user and working directory', async () => {
    const image = { Entrypoint: ['/bin/echo', 'entry'], Cmd: ['cmd'], WorkingDir: '/srv/app', User: 'alice' };
    expect((await run(who, { imageConfig: image })).out).toBe('entry cmd\n');
    expect((await run(who, { imageConfig: image, command: ['mine'] })).out).toBe('entry mine\n');
    expect((await run(who, { imageConfig: image, entrypoint: '/bin/pwd' })).out).toBe('/srv/app\n');
    expect((await run(who, { imageConfig: image, entrypoint: '', command: ['id', '-un'] })).out).toBe('alice\n');
    const env = await run(who, { command: ['env'], env: ['A=1', 'FROM_IMAGE', 'PASSED', 'B=x y=z'] });
    expect(env.out.split('\n').toSorted()).toEqual([
      '',
      'A=1',
      'B=x y=z',
      'HOME=/root',
      'HOSTNAME=box',
      'PASSED=on',
      'PATH=/bin',
    ]);
    const own = await run(who, {
      ...sh('id -u; pwd; hostname; cat /etc/hosts; mount | grep " / "; touch /x'),
      user: '7:8',
      workdir: '/w',
      hostname: 'name',
      readonly: true,
    });
    expect(own.out).toMatch(/^7\n\/w\nname\n127\.0\.0\.1\tlocalhost name\n/);
    expect(own.err).toMatch(/Read-only file system/);
  });

  test('the root directory is like the image’s', async () => {
    expect((await run(who, sh('stat -c "%a %u" /'))).out).toBe('1751 0\n');
  });

  test('volumes', async () => {
    const mine = await run(who, {
      ...sh('cat /v/file /r/file; echo new > /v/made; echo no > /r/no; ls /v'),
      volumes: [`${shared}/data:/v`, `${shared}/data:/r:ro`],
    });
    expect(mine.out).toBe('from the machine\nfrom the machine\nfile\nmade\n');
    expect(mine.err).toMatch(/can't create \/r\/no: Read-only file system/);
    rmSync(join(shared, 'data', 'made'));
  });

  test('standard input only with -i', async () => {
    const closed = start(who, sh('cat; echo end'));
    closed.child.stdin?.on('error', () => undefined).end('not seen');
    expect((await closed.ended).out).toBe('end\n');
    const open = start(who, { ...sh('cat; echo end'), interactive: true });
    open.child.stdin?.end(`seen\n${'x'.repeat(300_000)}\n`);
    expect((await open.ended).out).toBe(`seen\n${'x'.repeat(300_000)}\nend\n`);
  });

  test('signals are passed on, and the third interrupt ends what ignores them', async () => {
    const handler = `for s in INT TERM HUP USR1 USR2 QUIT; do trap "echo got $s" $s; done; trap 'echo got WINCH' WINCH
      echo ready; while true; do sleep 0.05; done`;
    const { child, ended } = start(who, sh(handler));
    const heard: string[] = [];
    const expected = ['ready', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGINT'] as const;
    await new Promise<void>((resolve) => {
      child.stdout?.on('data', (data: Buffer) => {
        heard.push(...data.toString().trim().split('\n'));
        const next = expected[heard.length];
        if (next === undefined) resolve();
        else child.kill(next as NodeJS.Signals);
      });
    });
    expect(heard).toEqual(['ready', 'got HUP', 'got USR1', 'got USR2', 'got WINCH', 'got INT']);
    child.kill('SIGTERM');
    child.kill('SIGINT');
    const { code, err } = await ended;
    expect([code, err]).toEqual([137, '']);
  });

  test('--init ends at the first signal', async () => {
    const { child, ended } = start(who, { ...sh('echo ready; sleep 100'), init: true });
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    child.kill('SIGTERM');
    expect((await ended).code).toBe(143);
  });

  test('a terminal of its own: size, input, resizing, Ctrl-C, exit code, restored afterwards', async () => {
    const script = [
      ['READY', 'hello\n'],
      ['WAITING', { resize: [50, 150] }],
      ['RESIZED 50 150', '\u0003'],
    ];
    const command = sh(`trap 'echo RESIZED $(stty size)' WINCH; trap 'exit 17' INT
      echo READY; read line; echo "got $line"; stty size; tty; [ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo three ttys
      ls -l /dev/console; echo "TERM=$TERM"; echo x > /dev/tty; echo WAITING; while true; do sleep 0.05; done`);
    const { output, status, restored, rest } = await play(who, script, { ...command, interactive: true, tty: true });
    expect(output).toContain('got hello\r\n31 101\r\n/dev/pts/0\r\nthree ttys\r\ncrw');
    expect(output).toContain('TERM=xterm\r\nx\r\nWAITING\r\nRESIZED 50 150\r\n');
    expect([status, restored, rest]).toEqual([17, true, 0]);
  });

  test('-it without a terminal is refused', async () => {
    const { code, err } = await run(who, { ...sh('true'), interactive: true, tty: true });
    expect(code).toBe(125);
    expect(err).toMatch(/standard input is not one/);
  });
});
