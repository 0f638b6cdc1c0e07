import { createHash } from 'node:crypto';
import { type AddressInfo, createServer } from 'node:net';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Isolation } from '../../src/sandbox/index.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { buildFrontendImage } from '../support/frontend-image.ts';
import type { Ended } from '../support/gateway-client.ts';
import type { Identity } from '../support/identity.ts';
import { isRealRoot } from '../support/real-root.ts';
import { expectNoDebris } from '../support/sound.ts';
import type { Containing, Program } from './programs/containing.ts';

const IMAGE = 'test/frontend:1';
const ROOT = { dest: '/', resultID: 'base' };
const sh = (script: string, more: Partial<Program> = {}): Program => ({ args: ['/bin/sh', '-c', script], ...more });
/** Goes on until it is ended. */
const FOREVER = 'while :; do sleep 1; done';

/** What the tests' frontend tells of a container. */
interface Seen {
  readonly programs: readonly Ended[];
  readonly read: readonly string[];
  readonly status: number;
}

describeAsEveryone('containers of frontends', (who) => {
  const others: readonly Isolation[] =
    who.uid === 0 ? ['copy', ...(isRealRoot ? (['chroot'] as const) : [])] : ['copy', 'single-id'];
  for (const rung of ['userns', ...others] as const) describe(`on ${rung}`, () => containersOn(rung, who));
});

function containersOn(rung: Isolation, who: Identity): void {
  const use = useBench(who);
  beforeAll(() => buildFrontendImage(use.bench, IMAGE));
  const env = rung === 'userns' ? {} : { TSBUILD_ISOLATION: rung };
  // Without namespaces: there are the machine's processes, its name, and no loopback (docs/isolation.md).
  const isBare = rung === 'chroot';

  const build = (contain: Containing, args: readonly string[] = []): readonly string[] => [
    'build',
    '--progress=plain',
    '--allow',
    'frontend',
    ...args,
    use.bench.context(`# syntax=${IMAGE}\n${JSON.stringify({ base: 'base:1', copy: ['file'], contain })}\n`, {
      file: 'content\n',
    }),
  ];
  const run = async (contain: Containing, args: readonly string[] = []): Promise<Seen> => {
    const { err } = await use.bench.tsbuild(build(contain, args), { env });
    const line = /error: (?:failed to solve: )?(\{.*\})$/m.exec(err)?.[1];
    if (line === undefined) throw new Error(`The frontend has told nothing: ${err}`);
    return JSON.parse(line) as Seen;
  };

  test('run programs side by side, fed and read, and are gone afterwards', async () => {
    const seen = await run({
      mounts: [ROOT],
      programs: [
        sh(`echo first is $$; echo $$ > /first; cat > /fed; echo fed; ${FOREVER}`, {
          until: 'first',
          stdin: 'through the gateway',
          goesOn: true,
        }),
        sh('cat /file; echo $A $PWD; echo wrong >&2; until [ -s /fed ]; do :; done; exit 7', {
          meta: { env: ['A=b'], cwd: '/tmp' },
        }),
        { args: ['not-there'] },
        sh('id -u; echo $SECRET', {
          meta: { user: '1000' },
          init: { secretenv: [{ ID: 's', name: 'SECRET', optional: true }] },
        }),
      ],
      read: [
        [0, '/fed'],
        [0, '/file'],
        [0, '/none'],
        [1, '/file'],
      ],
    });
    const [first, second, third, fourth] = seen.programs;
    expect(first).toMatchObject({
      out: expect.stringMatching(isBare ? /^first is \d+\nfed\n/ : /^first is 1\nfed\n/) as string,
      kinds: ['Started', 'File', 'File', 'Exit', 'File', 'File', 'Done'],
      exit: { Code: 255, Error: { code: 1, message: 'The container was released' } },
    });
    expect(second).toMatchObject({
      out: 'content\nb /tmp\n',
      err: 'wrong\n',
      exit: { Code: 7, Error: { code: 2, message: 'exit code: 7' } },
    });
    expect(third).toMatchObject({
      out: '',
      exit: { Code: 127, Error: { message: 'exec: "not-there": no such file or directory' } },
    });
    // With one id, further programs are told that they have become somebody, and nothing is remembered.
    expect(fourth).toMatchObject({ out: rung === 'single-id' ? '0\n\n' : '1000\n\n', exit: { Code: 0, Error: null } });
    expect(seen.read).toEqual(['through the gateway', 'content\n', 'failed: 5', 'failed: 11']);
    expect(seen.status).toBe(0);
    expect(await use.bench.leftovers()).toEqual([]);
    await expectNoDebris(use.bench);
  });

  test('are of a frontend that has no network itself', async () => {
    const listener = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = listener.address() as AddressInfo;
      const recipe = use.bench.context(`# syntax=${IMAGE}\n${JSON.stringify({ reach: port })}\n`);
      const { err } = await use.bench.tsbuild(['build', '--progress=plain', '--allow', 'frontend', recipe], { env });
      expect(err).toMatch(isBare ? /"reached":"EAFNOSUPPORT"/ : /"reached":"ECONNREFUSED"/);
    } finally {
      listener.close();
    }
  });

  test('have terminals and take signals', async () => {
    const { programs } = await run({
      mounts: [ROOT],
      wait: true,
      programs: [
        sh(`trap "echo caught; exit 3" TERM; echo $$ > /first; echo ready; ${FOREVER}`, {
          until: 'ready',
          goesOn: true,
        }),
        sh('tty; echo $TERM; echo begun; read line; stty size; exit 4', {
          init: { Tty: true },
          until: 'begun',
          window: [30, 90],
          stdin: 'go\n',
        }),
        sh(`echo ready; ${FOREVER}`, { until: 'ready', signal: 'KILL' }),
        // More than the supervisor takes in one piece.
        sh('echo slow; md5sum | cut -c1-32; head -c 300000 /dev/zero | wc -c', {
          until: 'slow',
          stdin: 'input ',
          times: 1_000_000,
        }),
        // To the first one, by another.
        sh('kill -TERM $(cat /first)'),
      ],
    });
    // A chroot has no names of terminals.
    expect(programs[1]?.out).toMatch(
      isBare
        ? /^not a tty\r\nxterm\r\nbegun\r\n(?:go\r\n)?30 90\r\n/
        : /^\/dev\/\S*\r\nxterm\r\nbegun\r\n(?:go\r\n)?30 90\r\n/,
    );
    expect(programs[1]?.exit).toMatchObject({ Code: 4 });
    expect(programs[2]?.exit).toMatchObject({ Code: 137 });
    const digest = createHash('md5').update('input '.repeat(1_000_000)).digest('hex');
    expect(programs[3]).toMatchObject({ out: `slow\n${digest}\n300000\n`, exit: { Code: 0 } });
    expect(programs[0]).toMatchObject({ out: 'ready\ncaught\n', exit: { Code: 3 } });
  });

  test('have the mounts and the network that they ask for, and nothing that was not allowed', async () => {
    use.bench.write('secrets', { s: 'hidden-value' });
    const contain: Containing = {
      mounts: [
        ROOT,
        { dest: '/bins', resultID: 'base', selector: '/bin', readonly: true },
        { dest: '/scratch' },
        { dest: '/cache', mountType: 'CACHE', cacheOpt: { ID: 'kept' } },
        { dest: '/mem', mountType: 'TMPFS' },
        { dest: '/secret', mountType: 'SECRET', secretOpt: { ID: 's', mode: 0o400 } },
        { dest: '/absent', mountType: 'SECRET', secretOpt: { ID: 'none', optional: true } },
      ],
      more: { Network: 'NONE', hostname: 'of-frontend', extraHosts: [{ Host: 'elsewhere', IP: '192.0.2.7' }] },
      programs: [
        sh(
          `ls /bins/sh; ${isBare ? 'echo kept' : 'touch /bins/x 2>/dev/null || echo kept'}; cat /cache/*; echo more >> /cache/f; echo s > /scratch/f; ` +
            'echo m > /mem/f; cat /secret; ls /absent 2>/dev/null; grep elsewhere /etc/hosts; ' +
            (isBare ? 'nc -w 1 127.0.0.1 9 2>&1 | grep -o "not supported"; ' : 'hostname; ls /sys/class/net; ') +
            `echo end; ${FOREVER}`,
          { until: '\nend\n', goesOn: true },
        ),
      ],
      read: [
        [2, '/f'],
        [3, '/'],
        [4, '/f'],
      ],
    };
    const args = ['--secret', `id=s,src=${use.bench.path('secrets/s')}`];
    const [first, second] = [await run(contain, args), await run(contain, args)];
    const text = (cached: string): RegExp =>
      new RegExp(
        `^/bins/sh\nkept\n${cached}\\*+192\\.0\\.2\\.7\\s+elsewhere\n${isBare ? '.*not supported' : 'of-frontend\nlo'}\nend\n$`,
      );
    // What is shown of it is masked.
    expect(first.programs[0]?.out).toMatch(text(''));
    expect(second.programs[0]?.out).toMatch(text('more\n'));
    expect(first.read).toEqual(['s\n', 'f', 'failed: 2']);
    for (const [more, said] of [
      [{ Network: 'HOST' }, /entitlement network\.host is not allowed/],
      [{ extraHosts: [{ Host: 'a\n1.2.3.4 b', IP: '::1' }] }, /extra host/],
      [{ platform: { OS: 'linux', Architecture: 'amd64' }, Mounts: [] }, /exactly one root mount/],
    ] as const)
      expect((await use.bench.tsbuild(build({ ...contain, more }, args), { env })).err).toMatch(said);
    const insecure = await run({ mounts: [ROOT], programs: [sh('true', { init: { Security: 'INSECURE' } })] });
    expect(insecure.programs[0]?.exit).toMatchObject({
      Code: 255,
      Error: { message: 'entitlement security.insecure is not allowed' },
    });
  }, 120_000);

  test('have as long as a step has', async () => {
    const { programs } = await run(
      { mounts: [ROOT], programs: [sh('echo begun; sleep 1000', { until: 'begun', goesOn: true }), sh('sleep 999')] },
      ['--step-timeout', '2s'],
    );
    for (const { exit } of programs)
      expect(exit).toMatchObject({
        Code: 255,
        Error: { code: 4, message: expect.stringContaining('longer than 2s') as string },
      });
  });

  test('end with the build, however that ends', async () => {
    const stays: Containing = {
      mounts: [ROOT, { dest: '/scratch' }],
      programs: [
        sh(`echo up; ${FOREVER}`, { until: 'up', goesOn: true }),
        sh(`echo up; ${FOREVER}`, { until: 'up', goesOn: true }),
      ],
      stay: true,
    };
    for (const signal of ['SIGINT', 'SIGKILL'] as const) {
      const running = use.bench.tsbuildStart([...build(stays)], { env });
      await running.prints(/it stays/);
      running.child.kill(signal);
      await running.ended;
      expect(await use.bench.leftovers(), signal).toEqual([]);
      expect(use.bench.mounts()).toEqual([]);
      await expectNoDebris(use.bench);
    }
  }, 120_000);
}
