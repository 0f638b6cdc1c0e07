# Runs a command on a terminal of its own and plays a script with it. Arguments: JSON list of [wait for, then send], the command.
# Sending {"resize": [rows, columns]} changes the window. Prints what the command wrote, then its exit code and the final state.
import fcntl, json, os, pty, select, signal, struct, sys, termios, time

script = json.loads(sys.argv[1])
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 31, 101, 0, 0))
before = termios.tcgetattr(slave)
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in range(3):
        os.dup2(slave, fd)
    os.closerange(3, 256)
    os.execvp(sys.argv[2], sys.argv[2:])
output = b''
seen = 0
deadline = time.time() + 20
status = None
while time.time() < deadline:
    if script and script[0][0].encode() in output[seen:]:
        seen = output.index(script[0][0].encode(), seen) + len(script[0][0])
        action = script.pop(0)[1]
        if isinstance(action, dict):
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', *action['resize'], 0, 0))
            os.kill(pid, signal.SIGWINCH)
        else:
            os.write(master, action.encode())
    ready, _, _ = select.select([master], [], [], 0.05)
    if ready:
        output += os.read(master, 65536)
    done, code = os.waitpid(pid, os.WNOHANG)
    if done:
        status = os.waitstatus_to_exitcode(code)
        while select.select([master], [], [], 0.05)[0]:
            output += os.read(master, 65536)
        break
else:
    os.kill(pid, signal.SIGKILL)
after = termios.tcgetattr(slave)
print(json.dumps({'output': output.decode('utf8', 'replace'), 'status': status, 'restored': before == after, 'rest': len(script)}))
