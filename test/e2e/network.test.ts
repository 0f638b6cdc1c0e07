import { readFileSync } from 'node:fs';
import { describe, expect } from 'vitest';
import { Bench, type Outcome } from '../support/bench.ts';
import { identities } from '../support/identity.ts';
import { netProbe } from '../support/net-probe.ts';
import { inWorld, processesIn, type World } from '../support/outside-world.ts';
import { testAsRoot } from '../support/real-root.ts';

/** What a step finds in its network. The probe is a static program that knows how to look names up. */
const LOOK = `COPY probe /
RUN /probe connect 198.51.100.2 80
RUN /probe connect far.test 80
RUN /probe connect 127.0.0.1 8099 || true
RUN /probe connect 198.51.100.1 8099 || true
RUN /probe abstract tsbuild-near || true
RUN /probe listen 80 || true
RUN ls /sys/class/net
`;

const SHARED = /RUN steps share this machine's network/;

async function everybody(check: (bench: Bench) => Promise<void>): Promise<void> {
  for (const who of await identities()) {
    await using bench = new Bench(who);
    await bench.importBase();
    await check(bench);
  }
}

function build(bench: Bench, world: World, ...args: readonly string[]): Promise<Outcome> {
  return inWorld(bench, world, bench.command(['build', '--progress=plain', ...args])).ended;
}

/** Lines that steps printed. */
function said({ err }: Outcome): readonly string[] {
  return [...err.matchAll(/^#\d+ [\d.]+ (.+)$/gm)].map(([, line]) => line ?? '');
}

const ISOLATED = [
  'from outside',
  'from outside',
  'connect: Connection refused',
  'connect: Connection refused',
  'connect: Connection refused',
  'listening',
  'eth0',
  'lo',
];

describe('the network of RUN', () => {
  testAsRoot.each(['pasta', 'slirp4netns'])('by %s leads outside, and not to what listens on the machine', (program) =>
    everybody(async (bench) => {
      const without = program === 'pasta' ? ['slirp4netns'] : ['pasta'];
      const context = bench.context(`FROM base:1\n${LOOK}`, { probe: { text: netProbe(), mode: 0o755 } });
      const built = await build(bench, { without }, context);
      expect(built.code, built.err).toBe(0);
      expect(said(built)).toEqual(ISOLATED);
      expect(built.err).not.toMatch(SHARED);
    }),
  );

  testAsRoot('is the machine’s where nothing connects another, which is said once, and only when a step ran', () =>
    everybody(async (bench) => {
      const context = bench.context(
        `FROM base:1\nCOPY probe /\nRUN /probe connect 127.0.0.1 8099\nRUN true\nRUN --network=none ls /sys/class/net\n`,
        { probe: { text: netProbe(), mode: 0o755 } },
      );
      for (const [world, reason] of [
        [
          { without: ['pasta', 'slirp4netns'] },
          /neither pasta nor slirp4netns is installed \(fix: sudo apt-get install passt/,
        ],
        [{ noTun: true }, /there is no \/dev\/net\/tun/],
        [
          { pasta: 'echo so it goes >&2; exit 3', without: ['slirp4netns'] },
          /pasta cannot connect a network here: so it goes/,
        ],
      ] as const) {
        const built = await build(bench, world, '--no-cache', context);
        expect(built.code, built.err).toBe(0);
        expect(said(built)).toEqual(['from the machine', 'lo']);
        expect(built.err.match(new RegExp(SHARED, 'g'))).toHaveLength(1);
        expect(built.err).toMatch(reason);
      }
      const world = { noTun: true };
      // What is known, asked for, or needs none.
      expect((await build(bench, world, context)).err).not.toMatch(SHARED);
      expect((await build(bench, world, '--no-cache', '--network=host', context)).err).not.toMatch(SHARED);
      const without = bench.context('FROM base:1\nRUN --network=none true\n');
      expect((await build(bench, world, without)).err).not.toMatch(SHARED);
    }),
  );

  testAsRoot('is made once for a build, and not for what is known or wants none', () =>
    everybody(async (bench) => {
      // Under the name of pasta, what counts its starts.
      const world = { pasta: 'echo start >> "$dir/starts"; exec "$real" "$@"' };
      const starts = async (...args: readonly string[]): Promise<readonly string[]> => {
        const running = inWorld(bench, world, bench.command(['build', '--progress=plain', ...args]));
        const { code, err } = await running.ended;
        expect(code, err).toBe(0);
        return readFileSync(`${running.dir}/starts`, 'utf8').split('\n').filter(Boolean);
      };
      const context = bench.context(
        'FROM base:1 AS a\nRUN readlink /proc/self/ns/net > /a\nFROM base:1\nCOPY --from=a /a /a\n' +
          'RUN readlink /proc/self/ns/net > /b && cmp /a /b\n',
      );
      expect(await starts(context)).toEqual(['start']);
      expect(await starts(context)).toEqual([]);
      expect(await starts('--no-cache', '--network=host', context)).toEqual([]);
      expect(await starts(bench.context('FROM base:1\nRUN --network=none true\n'))).toEqual([]);
    }),
  );

  testAsRoot('ends with the build, however that ends', () =>
    everybody(async (bench) => {
      const context = bench.context('FROM base:1\nRUN echo now; sleep 100\n');
      for (const signal of ['SIGKILL', 'SIGINT'] as const) {
        const running = inWorld(bench, {}, bench.command(['build', '--progress=plain', '--no-cache', context]));
        await running.prints(/ now$/m);
        expect(processesIn(running).some(({ command }) => command.startsWith('/usr/bin/pasta'))).toBe(true);
        running.child.kill(signal);
        await running.ended;
        await expect.poll(() => processesIn(running).filter(({ command }) => command !== '')).toEqual([]);
        expect(await bench.leftovers()).toEqual([]);
      }
    }),
  );

  testAsRoot('that ends before its step ends the build with a word about it', () =>
    everybody(async (bench) => {
      const context = bench.context('FROM base:1\nRUN echo now; sleep 100\n');
      const running = inWorld(bench, {}, bench.command(['build', '--progress=plain', context]));
      await running.prints(/ now$/m);
      const pasta = processesIn(running).filter(({ command }) => command.startsWith('/usr/bin/pasta'));
      expect(pasta).toHaveLength(1);
      process.kill(pasta[0]?.pid ?? 0, 'SIGKILL');
      const { code, err } = await running.ended;
      expect(code).not.toBe(0);
      expect(err).toMatch(/The network of the steps has ended: \/usr\/bin\/pasta was ended by signal 9/);
      expect(await bench.leftovers()).toEqual([]);
    }),
  );

  testAsRoot('is what a shell in the failed step has, too', () =>
    everybody(async (bench) => {
      const context = bench.context('FROM base:1\nCOPY probe /\nRUN false\n', {
        probe: { text: netProbe(), mode: 0o755 },
      });
      const command = bench.command(['build', '--progress=plain', '--on-failure=shell', context]);
      const stdin = '/probe connect far.test 80\n/probe connect 127.0.0.1 8099\n';
      const { out, err } = await inWorld(bench, {}, command, { stdin }).ended;
      expect(out, err).toBe('from outside\nconnect: Connection refused\n');
    }),
  );

  testAsRoot('is what doctor says', () =>
    everybody(async (bench) => {
      const doctor = (world: World): Promise<Outcome> => inWorld(bench, world, bench.command(['doctor'])).ended;
      expect((await doctor({})).out).toMatch(
        /^ok {6} network of steps: one of their own, connected by \/usr\/bin\/pasta$/m,
      );
      expect((await doctor({ noTun: true })).out).toMatch(
        /^warning {2}network of steps: this machine's.*\n +fix: sudo modprobe tun/m,
      );
    }),
  );
});
