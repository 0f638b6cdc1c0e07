import { readlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { Bench, type Outcome } from '../support/bench.ts';
import { identities } from '../support/identity.ts';
import { testAsRoot } from '../support/real-root.ts';

/** Runs a command as root of a user namespace with so many ids, as in a container, but with nothing else changed. */
async function withIds(bench: Bench, count: number, command: readonly string[]): Promise<Outcome> {
  const script = 'read -r go && exec "$@"';
  const { child, ended } = bench.start(['unshare', '--user', 'sh', '-c', script, 'sh', ...command], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const namespace = (pid: number | string): string => readlinkSync(`/proc/${pid}/ns/user`);
  while (namespace(child.pid ?? 0) === namespace('self')) await sleep(10);
  for (const map of ['uid_map', 'gid_map']) writeFileSync(`/proc/${child.pid}/${map}`, `0 0 ${count}\n`);
  child.stdin?.end('go\n');
  return ended;
}

testAsRoot(
  'root with few ids is told, by doctor and by each build, that steps run as the root of its container',
  async () => {
    const [self] = await identities();
    if (!self) throw new Error('Nobody runs the tests');
    await using bench = new Bench(self);
    const inside = (...args: string[]): Promise<Outcome> => withIds(bench, 70_000, bench.command(args));
    const said = /steps run as root of this container: only 70000 ids are mapped/;
    const doctor = await inside('doctor');
    expect(doctor.out).toMatch(said);
    expect(doctor.out).toMatch(/RUN steps work here \(rung 1-unshifted: .*root of the container/);
    expect((await bench.tsbuild(['doctor'])).out).not.toMatch(said);
    await bench.importBase();
    const context = bench.context('FROM base:1\nRUN cat /proc/self/uid_map\n');
    for (const display of ['--progress=plain', '--progress=quiet', '--quiet']) {
      expect(await inside('build', '--no-cache', display, context)).toMatchObject({
        code: 0,
        err: expect.stringMatching(/rung 1-unshifted\): steps run as root of this container/) as string,
      });
    }
    expect(await inside('run', 'base:1', 'true')).toMatchObject({
      code: 0,
      err: expect.stringMatching(/rung 1-unshifted/) as string,
    });
  },
);
