import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type Container,
  readPorts,
  startSupervisor,
  stepToHold,
  type SupervisorOptions,
} from '../../src/containers/index.ts';
import type { Limiter } from '../../src/limits/index.ts';
import { fakeHelper, PLAN } from './support/fake-helper.ts';

let root = '';
let directory = '';
beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), 'tsbuild-supervisor-'));
  directory = join(root, 'containers/one');
  fs.mkdirSync(directory, { recursive: true });
});
afterEach(() => fs.rmSync(root, { recursive: true }));

const container = (more: object = {}, step: object = {}): Container =>
  ({
    id: 'a'.repeat(64),
    name: 'web',
    directory,
    record: {
      id: 'a'.repeat(64),
      image: { name: 'app:1', id: 'sha256:1', manifest: 'sha256:2' },
      labels: {},
      step: {
        args: ['true'],
        env: [],
        cwd: '/',
        user: '',
        hostname: 'web',
        network: 'none',
        security: 'sandbox',
        ...step,
      },
      autoRemove: false,
      detached: false,
      restart: { name: 'no', most: 0 },
      log: { maxBytes: 1000, maxFiles: 2 },
      ...more,
    },
  }) as unknown as Container;
/** Starts it with a script in the place of the helper, which tells on descriptor 4. */
const start = (script: string, of: Container = container(), more: Partial<SupervisorOptions> = {}) =>
  startSupervisor({
    container: of,
    layers: ['/layers/1', '/layers/2'],
    helperPath: fakeHelper(root, script),
    seccompPath: '/seccomp',
    plan: PLAN,
    garbage: join(root, 'garbage'),
    names: join(root, 'names'),
    first: true,
    volumes: [],
    limiter: { keep: () => ({ groups: [], ulimits: [] }) } as unknown as Limiter,
    ...more,
  });
/** What the supervisor was told, in the bytes that the helper reads. */
const described = (): string => fs.readFileSync(join(root, 'description'), 'latin1');
const TAKE = (): string => `cat <&3 > ${root}/description`;

describe('starting a container', () => {
  test('tells when clients may come, and then that the program runs', async () => {
    const { listening, started } = start('echo listening >&4; echo ran >&4');
    await listening;
    expect(await started).toBeUndefined();
  });

  test('clients may come before the program runs', async () => {
    fs.writeFileSync(join(root, 'order'), '');
    const { listening, started } = start(
      `echo listening >&4; while [ ! -s ${root}/order ]; do sleep 0.02; done; echo ran >&4`,
    );
    await listening;
    const early = await Promise.race([started.then(() => 'ran'), Promise.resolve('not yet')]);
    expect(early).toBe('not yet');
    fs.writeFileSync(join(root, 'order'), 'go');
    expect(await started).toBeUndefined();
  });

  test('a program that could not be executed is how it ended, and no error of the sandbox', async () => {
    const { listening, started } = start("echo listening >&4; echo 'error 2 exec /bin/none' >&4");
    await listening;
    expect(await started).toEqual({ kind: 'not-executed', path: '/bin/none', errno: 'ENOENT' });
  });

  test.each<readonly [what: string, script: string, code: string, message: string]>([
    [
      'a mount that cannot be made',
      "echo 'error 13 mounts /data' >&4",
      'TSB_STEP',
      'Cannot set up the step (mounts): /data (EACCES)',
    ],
    [
      'a port that is taken',
      "echo 'error 98 publish 127.0.0.1:80' >&4",
      'TSB_USAGE',
      'Cannot publish a port: 127.0.0.1:80 (EADDRINUSE)',
    ],
    ['a helper that wrote a word', 'echo no good >&2', 'TSB_SANDBOX', 'Cannot run the sandbox helper: no good'],
    ['a helper that died', 'kill -9 $$', 'TSB_SANDBOX', 'Cannot run the sandbox helper: it was killed'],
  ])(
    '%s is an error for who waits for clients, and for who waits for the program',
    async (_, script, code, message) => {
      const { listening, started } = start(script);
      await expect(listening).rejects.toMatchObject({ code, message });
      await expect(started).rejects.toMatchObject({ code, message });
    },
  );

  test('a helper that is not there is an error, and nobody needs to wait for both', async () => {
    const { started } = start('', container(), { helperPath: join(root, 'nowhere') });
    await expect(started).rejects.toMatchObject({ code: 'TSB_SANDBOX' });
  });

  test('what the helper says afterwards changes nothing: the container lives on', async () => {
    const { started } = start(
      "echo listening >&4; echo ran >&4; echo 'error 13 mount /late' >&4; echo bad >&2; exit 1",
    );
    expect(await started).toBeUndefined();
  });

  test('errors of this start alone are in its log', async () => {
    fs.writeFileSync(join(directory, 'supervisor.log'), 'what was wrong yesterday\n');
    await expect(start('echo today >&2').started).rejects.toThrow('today');
    expect(fs.readFileSync(join(directory, 'supervisor.log'), 'utf8')).toBe('today\n');
  });
});

describe('what a supervisor is told', () => {
  const tell = async (of?: Container, more?: Partial<SupervisorOptions>): Promise<string> => {
    await start(`${TAKE()}; echo ran >&4`, of, more).started;
    return described();
  };

  test('where the container is, what is kept of its output, and when it is started again', async () => {
    const words = await tell(container({ restart: { name: 'on-failure', most: 3 } }), {
      volumes: ['/v/one', '/v/two'],
    });
    for (const word of [
      'on-failure',
      directory,
      join(root, 'garbage'),
      join(root, 'names'),
      '1000',
      '/v/one',
      '/v/two',
    ])
      expect(words).toContain(word);
  });

  test('to docker’s "unless-stopped" it is "always": that it was stopped is known elsewhere', async () => {
    const words = await tell(container({ restart: { name: 'unless-stopped', most: 0 } }));
    expect(words).toContain('always');
    expect(words).not.toContain('unless-stopped');
  });

  test('a health check by its words and times, and none where there is none', async () => {
    const health = {
      test: ['curl', '-f', 'here'],
      interval: 31_001,
      timeout: 31_002,
      startPeriod: 31_003,
      startInterval: 31_004,
      retries: 37,
    };
    const words = await tell(container({ health }));
    for (const word of ['curl', '-f', 'here', '31001', '31002', '31003', '31004', '37']) expect(words).toContain(word);
    expect(await tell()).not.toContain('health');
  });

  test('the groups that hold its limits are asked for with its own number', async () => {
    const asked: unknown[] = [];
    const limiter = {
      keep: (...args: unknown[]) => {
        asked.push(args);
        return { groups: [{ version: 2, directory: '/sys/fs/cgroup/its-own', controllers: ['memory'] }], ulimits: [] };
      },
    } as unknown as Limiter;
    const of = container({ resources: { memory: 1 << 20 } }, { processLimit: 77 });
    const words = await tell(of, { limiter });
    expect(words).toContain('/sys/fs/cgroup/its-own');
    expect(asked).toEqual([[{ memory: 1 << 20, processes: 77 }, expect.any(Number)]]);
  });

  test('limits that cannot be had end the start before the helper does anything', async () => {
    const limiter = {
      keep: () => {
        throw new Error('no such group');
      },
    } as unknown as Limiter;
    const { listening, started } = start(`sleep 60; echo ran > ${root}/ran`, container(), { limiter });
    await expect(listening).rejects.toThrow('no such group');
    await expect(started).rejects.toThrow('no such group');
    expect(fs.existsSync(join(root, 'ran'))).toBe(false);
  });

  test('which port of the machine a published one got is told on, and written when all are known', async () => {
    const ports = [
      { hostIp: '127.0.0.1', hostPort: 0, containerPort: 80, protocol: 'tcp' },
      { hostIp: '127.0.0.1', hostPort: 40_050, hostPortEnd: 40_060, containerPort: 53, protocol: 'udp' },
    ];
    const of = container({ ports });
    const got: unknown[] = [];
    const onPort: SupervisorOptions['onPort'] = (port, hostPort) => got.push([port.containerPort, hostPort]);
    await start('echo port 1 40053 >&4; echo ran >&4', of, { onPort }).started;
    expect(got).toEqual([[53, 40_053]]);
    expect(readPorts(of)).toEqual([]);
    await start('echo port 0 40080 >&4; echo port 1 40054 >&4; echo port 9 1 >&4; echo ran >&4', of, { onPort })
      .started;
    expect(got.slice(1)).toEqual([
      [80, 40_080],
      [53, 40_054],
    ]);
    expect(readPorts(of)).toEqual([
      { ...ports[0], hostPort: 40_080 },
      { hostIp: '127.0.0.1', hostPort: 40_054, containerPort: 53, protocol: 'udp' },
    ]);
  });
});

test('the root of a container is held with its mounts, and without its program’s network, terminal or emulator', () => {
  const mounts = [{ type: 'bind', volume: 'data' }];
  const of = container({}, { mounts, tty: true, stdin: true, network: 'host', emulator: { path: '/qemu' } });
  const held = stepToHold(of, ['/layers/1'], false);
  expect(held).toMatchObject({
    hold: true,
    network: 'none',
    tty: false,
    stdin: false,
    mounts,
    lowers: ['/layers/1'],
    upper: join(directory, 'fs'),
    work: join(directory, 'work'),
    prepareUpper: false,
  });
  expect(held).not.toHaveProperty('emulator');
});
