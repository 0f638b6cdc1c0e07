import type { Bench, Outcome, RunOptions } from './bench.ts';

/** One thing that is typed into a terminal or done to it. */
export type TerminalStep =
  /** Waits until this text has been shown. */
  | { readonly expect: string }
  | { readonly type: string }
  /** Seconds. */
  | { readonly wait: number }
  | { readonly resize: readonly [rows: number, columns: number] };

/** Runs a command on a terminal of its own: Python has the pty that Node lacks. */
const SCRIPT = `
import fcntl, json, os, pty, select, signal, struct, sys, termios, time
steps, command = json.loads(sys.argv[1]), sys.argv[2:]
pid, master = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
def size(rows, columns):
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))
size(24, 80)
shown, seen, deadline, status = b'', 0, time.time() + 100, None
while True:
    while steps:
        step = steps[0]
        if 'expect' in step:
            at = shown.find(step['expect'].encode(), seen)
            if at < 0: break
            seen = at + len(step['expect'].encode())
        elif 'type' in step:
            os.write(master, step['type'].encode())
        elif 'wait' in step:
            time.sleep(step['wait'])
        else:
            size(*step['resize'])
        steps.pop(0)
    if time.time() > deadline:
        sys.stderr.write('timed out waiting for %r' % steps[:1]); os.kill(pid, signal.SIGKILL)
    ready, _, _ = select.select([master], [], [], 0.1)
    if ready:
        try: data = os.read(master, 65536)
        except OSError: data = b''
        if not data: break
        shown += data
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status) & 255)
`;

/** Runs `tsbuild` on a terminal; `out` is everything that the terminal showed. */
export async function onTerminal(
  bench: Bench,
  args: readonly string[],
  steps: readonly TerminalStep[],
  options: RunOptions = {},
): Promise<Outcome> {
  return programOnTerminal(bench, bench.command(args), steps, options);
}

/** Runs any program on a terminal. */
export async function programOnTerminal(
  bench: Bench,
  command: readonly string[],
  steps: readonly TerminalStep[],
  options: RunOptions = {},
): Promise<Outcome> {
  return bench.start(['/usr/bin/python3', '-c', SCRIPT, JSON.stringify(steps), ...command], options).ended;
}
