import { describe, expect } from 'vitest';
import { Bench, type Outcome } from '../support/bench.ts';
import { identities } from '../support/identity.ts';
import { netProbe } from '../support/net-probe.ts';
import { inWorld, type World } from '../support/outside-world.ts';
import { testAsRoot } from '../support/real-root.ts';

const LOOK = `
probe=/tools/probe
$probe connect 198.51.100.2 80
$probe connect far.test 80
$probe connect 127.0.0.1 8099
$probe connect 198.51.100.1 8099
$probe abstract tsbuild-near
true`;

/** What a container in network `ci` finds on such a machine. */
function look(bench: Bench, world: World, network: string): Promise<Outcome> {
  const tools = `${bench.path('tools')}:/tools:ro`;
  const script = ['sh', '-c', `exec 2>&1; ${LOOK}`];
  return inWorld(bench, world, bench.command(['run', '--rm', '--network', network, '-v', tools, 'base:1', ...script]))
    .ended;
}

const APART = ['connect: Connection refused', 'connect: Connection refused', 'connect: Connection refused'];

describe('a network of containers', () => {
  testAsRoot.each(['pasta', 'slirp4netns'])(
    'leads outside by %s, and not to what listens on the machine; an internal one leads nowhere',
    async (program) => {
      // Most of it is waiting for networks to end, which those of several users do side by side.
      const tries = (await identities()).map(async (who) => {
        await using bench = new Bench(who);
        await bench.makeStore();
        bench.write('tools', { probe: { text: netProbe(), mode: 0o755 } });
        await bench.ok(['network', 'create', 'ci']);
        await bench.ok(['network', 'create', '--internal', 'inner']);
        const without = program === 'pasta' ? ['slirp4netns'] : ['pasta'];
        const open = await look(bench, { without }, 'ci');
        expect(open.out.trim().split('\n'), open.err).toEqual(['from outside', 'from outside', ...APART]);
        expect(open.err).not.toContain('warning');
        // The interface that it makes has the hardware address that was asked for.
        const mac = '92:d0:c6:0a:29:33';
        const words = ['run', '--rm', '--mac-address', mac, 'base:1', 'cat', '/sys/class/net/eth0/address'];
        const alike = await inWorld(bench, { without }, bench.command(words)).ended;
        expect(alike.out, alike.err).toBe(`${mac}\n`);
        if (program !== 'pasta') return;
        const inner = await look(bench, { without }, 'inner');
        expect(inner.out).not.toContain('outside');
        expect(inner.err).not.toContain('warning');
        // The network's process ends soon after its last container, and what it was started with goes with it.
        expect(await bench.leftovers()).toEqual([]);
        const alone = await look(bench, { noTun: true }, 'ci');
        expect(alone.out).not.toContain('outside');
        expect(alone.err.match(/leads nowhere outside: there is no \/dev\/net\/tun/g)).toHaveLength(1);
        expect(await bench.leftovers()).toEqual([]);
      });
      await Promise.allSettled(tries);
      await Promise.all(tries);
    },
  );
});
