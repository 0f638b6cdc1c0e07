import { describe, expect } from 'vitest';
import { Bench, type Outcome } from '../support/bench.ts';
import { type Identity, identities } from '../support/identity.ts';
import { testAsRoot } from '../support/real-root.ts';

/** What a container's engine does to /proc before its first process: a file and a directory hidden, another not writable. */
const MASK = [
  'mount --bind /dev/null /proc/timer_list',
  'mount -t tmpfs -o ro,size=4k hidden /proc/fs',
  'mount --bind /proc/sys /proc/sys',
  'mount -o remount,bind,ro /proc/sys',
  'exec "$@"',
].join(' && ');

/** Runs `tsbuild` where parts of /proc are hidden, so that the kernel lets nobody without the machine's rights mount another one. */
function masked(bench: Bench, ...args: readonly string[]): Promise<Outcome> {
  const command = ['unshare', '--mount', 'sh', '-c', MASK, 'sh', ...bench.who.prefix, ...bench.command(args)];
  return bench.start(command, { asSelf: true }).ended;
}

/** What a step tries on the process that was started before all others of its build, and on its own. */
const LOOK = `
  test "$(cat /proc/self/comm)" = cat && echo own-proc
  ls /proc/self/fd/ > /dev/null && echo own-fds
  (: > /proc/sys/vm/drop_caches) 2>/dev/null || echo sys-read-only
  test -s /proc/timer_list || echo still-hidden
  for pid in $(ls /proc | grep -E '^[0-9]+$'); do
    [ "$(cat /proc/$pid/comm 2>&1)" = tsbuild-outside ] || continue
    echo seen
    ls /proc/$pid/root/ 2>/dev/null && echo entered
    cat /proc/$pid/environ 2>/dev/null && echo read
    kill -0 $pid 2>/dev/null && echo reached
  done
  true`;

async function everybody(check: (bench: Bench, who: Identity) => Promise<void>): Promise<void> {
  for (const who of await identities()) {
    await using bench = new Bench(who);
    await check(bench, who);
  }
}

describe('where a container hides parts of /proc', () => {
  testAsRoot('doctor, build and run agree that steps work, and say what steps then see', () =>
    everybody(async (bench) => {
      const told = /steps see the \/proc of the surrounding container/;
      const doctor = await masked(bench, 'doctor');
      expect(doctor).toMatchObject({ code: 0, out: expect.stringMatching(told) as string });
      expect(doctor.out).toMatch(/RUN steps work here \(rung 2: .*hides parts of \/proc/);
      await bench.importBase();
      const context = bench.context('FROM base:1\nRUN cat /proc/self/status > /status\nRUN test -s /status\n');
      const built = await masked(bench, 'build', '--progress=plain', '-t', 'x:1', context);
      expect(built).toMatchObject({ code: 0, err: expect.stringMatching(told) as string });
      // Two steps, one warning.
      expect(built.err.match(/rung 2/g)).toHaveLength(1);
      const ran = await masked(bench, 'run', 'x:1', 'sh', '-c', 'echo from $$ && test -d /proc/self/fd');
      expect(ran).toMatchObject({ code: 0, err: expect.stringMatching(told) as string });
      expect(ran.out).toBe('from 1\n');
    }),
  );

  testAsRoot('elsewhere nothing of the kind is said', () =>
    everybody(async (bench) => {
      await bench.importBase();
      const context = bench.context('FROM base:1\nRUN true\n');
      expect((await bench.ok(['build', context])).err).not.toMatch(/rung/);
    }),
  );

  testAsRoot('a step sees that processes outside are there, but enters, reads and signals none of them', () =>
    everybody(async (bench) => {
      await bench.importBase();
      const context = bench.context(`FROM base:1\nRUN <<EOF\n${LOOK}\nEOF\n`);
      // Of the same user, and with a name that the step finds it by.
      const outside = bench.start(['sh', '-c', 'echo tsbuild-outside > /proc/$$/comm && echo up && read -r end'], {
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      await outside.prints(/up/);
      const { code, err } = await masked(bench, 'build', '--progress=plain', context);
      outside.child.stdin?.end();
      await outside.ended;
      expect(code, err).toBe(0);
      const said = [...err.matchAll(/^#\d+ [\d.]+ ([a-z-]+)$/gm)].map(([, word]) => word);
      expect(said).toEqual(['own-proc', 'own-fds', 'sys-read-only', 'still-hidden', 'seen']);
    }),
  );
});
