import { spawnSync } from 'node:child_process';
import { fstatSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type StartedProgram, startProgram } from '../../src/sys/index.ts';
import { projectRoot } from '../support/program.ts';

/** Starts a shell's script without streams of this process's own. */
function start(script: string): StartedProgram {
  const started = startProgram(['/bin/sh', '-c', script, 'name', 'one word', ''], ['ignore', 'ignore', 'ignore']);
  if (started === undefined) throw new Error('there is no add-on');
  return started;
}

/** What it says at 4, and its exit code. */
async function outcome(program: StartedProgram, given = ''): Promise<readonly [text: string, code: number | null]> {
  let text = '';
  const told = program.told((bytes) => (text += bytes.toString('utf8')));
  program.give(Buffer.from(given));
  await told;
  return [text, await program.ended()];
}

describe('a program that is started by the add-on', () => {
  test('reads at 3, writes at 4, and tells how it ended', async () => {
    expect(await outcome(start('cat <&3 >&4; printf "%s|" "$@" >&4; exit 7'), 'spec ')).toEqual(['spec one word||', 7]);
  });

  test('is given more than a pipe holds', async () => {
    expect(await outcome(start('wc -c <&3 >&4'), 'x'.repeat(300_000))).toEqual(['300000\n', 0]);
  });

  test('has no environment, a session of its own, no stream and no other descriptor', async () => {
    const [text] = await outcome(
      start(
        'tr "\\0" "\\n" </proc/$$/environ >&4; cut -d" " -f1,6 /proc/$$/stat >&4; readlink /proc/$$/fd/0 /proc/$$/fd/2 >&4; exec ls /proc/self/fd >&4',
      ),
    );
    const [session = '', ...others] = text.trimEnd().split('\n');
    const [pid, id] = session.split(' ');
    expect(id).toBe(pid);
    const byNode = spawnSync('ls', ['/proc/self/fd'], {
      stdio: ['ignore', 'pipe', 'ignore', 'pipe', 'pipe'],
      encoding: 'utf8',
    });
    expect(others).toEqual(['/dev/null', '/dev/null', ...byNode.stdout.trimEnd().split('\n')]);
  });

  test('has no signal blocked or ignored, as Node has', async () => {
    const [text] = await outcome(start('grep -E "^Sig(Blk|Ign)" /proc/self/status >&4'));
    expect(text).toBe('SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n');
  });

  test('can be killed, and no other one by its number afterwards', async () => {
    const program = start('echo ready >&4; exec sleep 1000');
    const text = await new Promise((resolve) => {
      void program.told((bytes) => resolve(bytes.toString('utf8')));
    });
    expect(text).toBe('ready\n');
    expect(program.kill('SIGKILL')).toBe(true);
    expect(await program.ended()).toBe(null);
    expect(program.kill('SIGKILL')).toBe(false);
    program.give(Buffer.from('read by nobody'));
  });

  test('that does not exist is told by its name, and leaves no descriptor and no process', () => {
    const open = (): number => Array.from({ length: 100 }, (_, fd) => fd).filter(isOpen).length;
    const before = open();
    expect(() => startProgram(['/nowhere/program'], ['ignore', 1, 2])).toThrow(
      expect.objectContaining({ code: 'ENOENT', path: '/nowhere/program' }),
    );
    expect(open()).toBe(before);
    expect(spawnSync('ps', ['--ppid', String(process.pid), '-o', 'stat='], { encoding: 'utf8' }).stdout).not.toContain(
      'Z',
    );
  });

  test('is not started with more words than it can be given', () => {
    const words = Array.from({ length: 257 }, () => 'word');
    expect(() => startProgram(['/bin/true', ...words], ['ignore', 1, 2])).toThrow(
      expect.objectContaining({ code: 'E2BIG' }),
    );
  });

  test('leaves the terminal and streams of who started it to that', () => {
    const script = `import('${projectRoot}/src/sys/index.ts').then(async ({ startProgram }) => {
      const program = startProgram(['/bin/sh', '-c', 'read line; echo "got $line"; echo wrong >&2'], [0, 1, 2]);
      program.give(new Uint8Array());
      await program.told(() => undefined);
      console.log(await program.ended());
    });`;
    const { stdout, stderr } = spawnSync(process.execPath, ['-e', script], { input: 'a line\n', encoding: 'utf8' });
    expect([stdout, stderr]).toEqual(['got a line\n0\n', 'wrong\n']);
  });
});

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}
