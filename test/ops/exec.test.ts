import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Mount } from '../../src/llb/index.ts';
import type { StepSpec } from '../../src/sandbox/index.ts';
import type { SecretSource } from '../../src/secrets/index.ts';
import { MovedMounts } from '../../src/ops/index.ts';
import { mountId } from '../../src/store/index.ts';
import { TsbuildError } from '../../src/util/index.ts';
import { testTask } from '../support/task.ts';
import { execOf, type KitOptions, mountOf, openKit, vertexOf } from './support.ts';

const TOKEN: SecretSource = { kind: 'value', value: 's3cr3t-token' };

/** Runs a step and gives what the sandbox was told. */
async function specOf(exec: Parameters<typeof execOf>[0], options: KitOptions = {}): Promise<StepSpec> {
  using kit = await openKit(options);
  await kit.runner.exec(testTask(), vertexOf(execOf(exec)), []);
  const [spec] = kit.steps;
  if (!spec) throw new Error('No step ran');
  return spec;
}

const refusal = (exec: Parameters<typeof execOf>[0], options: KitOptions = {}): Promise<unknown> =>
  specOf(exec, options).then(
    () => 'it ran',
    (error: unknown) => error,
  );

const cache = (more: Partial<Mount> = {}): Mount =>
  mountOf({ type: 'cache', dest: '/cache', output: -1, cache: { id: 'c', sharing: 'shared' }, ...more });

describe('a step', () => {
  test('leaves a layer on what it stood on', async () => {
    using kit = await openKit();
    kit.worker.on.runStep = ({ upper }: StepSpec) => {
      fs.writeFileSync(join(upper, 'made'), 'by the step');
      return { kind: 'exited', code: 0 };
    };
    const first = await kit.runner.exec(testTask(), vertexOf(execOf()), []);
    const [base] = first;
    const [made] = await kit.runner.exec(testTask(), vertexOf(execOf({ mounts: [mountOf({ input: 0 })] }), 1), first);
    if (base?.kind !== 'layers' || made?.kind !== 'layers') throw new Error('no layers');
    expect(made.layers).toHaveLength(2);
    expect(made.layers[0]).toBe(base.layers[0]);
    const dirs = await kit.layers.directories(testTask(), made.layers);
    expect(dirs.map((dir) => fs.readdirSync(dir))).toEqual([['made'], ['made']]);
  });

  test('gives one result for each output, in the order of their numbers', async () => {
    using kit = await openKit();
    kit.worker.on.runStep = ({ upper, mounts = [] }: StepSpec) => {
      fs.writeFileSync(join(upper, 'root'), '');
      for (const mount of mounts)
        if (mount.type === 'layers' && mount.upper) fs.writeFileSync(join(mount.upper, 'other'), '');
      return { kind: 'exited', code: 0 };
    };
    const mounts = [mountOf({ output: 1 }), mountOf({ dest: '/out', output: 0 })];
    const results = await kit.runner.exec(testTask(), vertexOf(execOf({ mounts })), []);
    const names = await Promise.all(
      results.map(async (one) => {
        const dirs = await kit.layers.directories(testTask(), one.kind === 'layers' ? one.layers : []);
        return dirs.flatMap((dir) => fs.readdirSync(dir));
      }),
    );
    expect(names).toEqual([['other'], ['root']]);
  });

  test.each<[string, object, string]>([
    ['exits otherwise than with 0', { kind: 'exited', code: 3 }, 'exit code: 3'],
    ['is killed', { kind: 'signaled', signal: 'SIGKILL' }, 'it was ended by signal SIGKILL'],
    [
      'is no program',
      { kind: 'not-executed', path: '/bin/sh', errno: 'ENOENT' },
      '"/bin/sh" was not found in the image',
    ],
    ['may not be run', { kind: 'not-executed', path: 'x', errno: 'EACCES' }, '"x" cannot be executed (EACCES)'],
  ])('that %s fails in BuildKit’s words, and leaves nothing', async (_name, status, words) => {
    using kit = await openKit();
    kit.worker.on.runStep = () => status;
    await expect(kit.runner.exec(testTask(), vertexOf(execOf()), [])).rejects.toMatchObject({
      code: 'TSB_STEP',
      message: `process "/bin/sh -c make" did not complete successfully: ${words}`,
    });
    expect(kit.store.layers.list()).toEqual([]);
  });

  test('may end as the graph says', async () => {
    using kit = await openKit();
    kit.worker.on.runStep = () => ({ kind: 'exited', code: 7 });
    const lenient = vertexOf(execOf({ meta: { validExitCodes: [7, 8] } }));
    expect(await kit.runner.exec(testTask(), lenient, [])).toHaveLength(1);
    kit.worker.on.runStep = () => ({ kind: 'exited', code: 0 });
    await expect(kit.runner.exec(testTask(), lenient, [])).rejects.toThrow(/exit code: 0/);
  });

  test('that is canceled leaves nothing', async () => {
    using kit = await openKit();
    const task = testTask();
    kit.worker.on.runStep = () => {
      task.controller.abort(new TsbuildError('TSB_CANCELED', 'Canceled by SIGINT'));
      return new Promise(() => undefined);
    };
    await expect(kit.runner.exec(task, vertexOf(execOf({ mounts: [mountOf(), cache()] })), [])).rejects.toMatchObject({
      code: 'TSB_CANCELED',
    });
    expect(kit.store.layers.list()).toEqual([]);
  });

  test('whose changes nobody wants has a place for them, which goes when it ends', async () => {
    using kit = await openKit();
    let upper = '';
    kit.worker.on.runStep = (spec: StepSpec) => {
      ({ upper } = spec);
      expect(fs.existsSync(upper)).toBe(true);
      return { kind: 'exited', code: 0 };
    };
    const vertex = vertexOf(execOf({ mounts: [mountOf({ output: -1, readonly: true })] }));
    expect(await kit.runner.exec(testTask(), vertex, [])).toEqual([]);
    expect(fs.existsSync(upper)).toBe(false);
    expect(kit.store.layers.list()).toEqual([]);
  });

  test('needs what the user did not grant: nothing is prepared', async () => {
    for (const exec of [{ network: 'host' }, { security: 'insecure' }] as const) {
      using kit = await openKit();
      const name = 'network' in exec ? 'network.host' : 'security.insecure';
      await expect(kit.runner.exec(testTask(), vertexOf(execOf(exec)), [])).rejects.toMatchObject({
        code: 'TSB_STEP',
        message: `entitlement ${name} is not allowed`,
        hint: expect.stringContaining(`--allow ${name}`) as string,
      });
      expect(kit.worker.calls).toEqual([]);
      expect((await specOf(exec, { entitlements: [name] })).args).toHaveLength(3);
    }
  });
});

describe('the environment of a step', () => {
  test('is what the graph says', async () => {
    expect((await specOf({})).env).toEqual(['PATH=/bin']);
  });

  test('has secrets as variables, over what the image says, once', async () => {
    const secretEnv = [{ id: 't', name: 'TOKEN', optional: false }];
    const { env } = await specOf(
      { secretEnv, meta: { env: ['TOKEN=public', 'PATH=/bin'] } },
      { secrets: { t: TOKEN } },
    );
    expect(env.filter((one) => one.startsWith('TOKEN='))).toEqual(['TOKEN=s3cr3t-token']);
    expect(env).toContain('PATH=/bin');
  });

  test('lacks an optional secret that there is none of, and fails for a required one', async () => {
    const wanted = { id: 't', name: 'TOKEN' };
    expect((await specOf({ secretEnv: [{ ...wanted, optional: true }] })).env).toEqual(['PATH=/bin']);
    expect(await refusal({ secretEnv: [{ ...wanted, optional: false }] })).toMatchObject({
      code: 'TSB_STEP',
      message: 'secret t: not found',
    });
  });

  test('has an empty secret as an empty variable', async () => {
    const secretEnv = [{ id: 't', name: 'TOKEN', optional: false }];
    expect((await specOf({ secretEnv }, { secrets: { t: { kind: 'value', value: '' } } })).env).toContain('TOKEN=');
  });

  test('cannot have a secret with a NUL byte in a variable (SEC-13)', async () => {
    const secretEnv = [{ id: 't', name: 'TOKEN', optional: true }];
    expect(await refusal({ secretEnv }, { secrets: { t: { kind: 'value', value: 'a\0b' } } })).toMatchObject({
      code: 'TSB_STEP',
      message: 'Cannot give secret "t" to the step as variable TOKEN: it contains a NUL byte',
    });
  });

  test('has the usual PATH where its graph sets none, as in BuildKit', async () => {
    const { env } = await specOf({ meta: { env: ['A=b'] } });
    expect(env).toEqual(['A=b', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin']);
  });

  test('has proxies in both cases, but for those that the image sets', async () => {
    const proxyEnv = { httpProxy: 'http://p', httpsProxy: '', ftpProxy: '', noProxy: 'localhost', allProxy: '' };
    const { env } = await specOf({ meta: { proxyEnv, env: ['http_proxy=own', 'PATH=/bin'] } });
    expect(env.toSorted()).toEqual([
      'HTTP_PROXY=http://p',
      'NO_PROXY=localhost',
      'PATH=/bin',
      'http_proxy=own',
      'no_proxy=localhost',
    ]);
  });
});

describe('mounts of a step', () => {
  test('a secret is a file of its owner and mode', async () => {
    const secret = { id: 't', uid: 3, gid: 4, mode: 0o440, optional: false };
    const { mounts } = await specOf(
      { mounts: [mountOf(), mountOf({ type: 'secret', dest: '/run/secrets/t', output: -1, secret })] },
      { secrets: { t: TOKEN } },
    );
    expect(mounts).toEqual([
      { type: 'file', target: '/run/secrets/t', data: Buffer.from('s3cr3t-token'), uid: 3, gid: 4, mode: 0o440 },
    ]);
  });

  test('a secret that cannot be read says why, each time', async () => {
    using kit = await openKit({ secrets: { t: { kind: 'file', path: '/does/not/exist' } } });
    const secret = { id: 't', uid: 0, gid: 0, mode: 0o400, optional: true };
    const vertex = vertexOf(
      execOf({ mounts: [mountOf(), mountOf({ type: 'secret', dest: '/s', output: -1, secret })] }),
    );
    for (let time = 0; time < 2; time++)
      await expect(kit.runner.exec(testTask(), vertex, [])).rejects.toMatchObject({
        code: 'TSB_NOT_FOUND',
        message: 'Cannot read secret "t" from "/does/not/exist": it does not exist',
      });
    expect(kit.steps).toEqual([]);
  });

  test('an SSH agent that the build was not given', async () => {
    const ssh = { id: '', uid: 0, gid: 0, mode: 0o600, optional: false };
    const agent = (optional: boolean): readonly Mount[] => [
      mountOf(),
      mountOf({ type: 'ssh', dest: '/run/agent', output: -1, ssh: { ...ssh, optional } }),
    ];
    expect(await specOf({ mounts: agent(true) })).toMatchObject({ mounts: [], env: ['PATH=/bin'] });
    expect(await refusal({ mounts: agent(false) })).toMatchObject({
      message: 'unset ssh forward key default',
      hint: 'build with --ssh default',
    });
  });

  test('memory, also as shared memory', async () => {
    const tmpfs = (dest: string, size: number): Mount => mountOf({ type: 'tmpfs', dest, output: -1, tmpfs: { size } });
    expect(
      await specOf({ mounts: [mountOf(), tmpfs('/tmp', 100), tmpfs('/x', 0), tmpfs('/dev/shm', 7)] }),
    ).toMatchObject({
      mounts: [
        { type: 'tmpfs', target: '/tmp', size: 100 },
        { type: 'tmpfs', target: '/x' },
      ],
      shmSize: 7,
    });
  });

  test('files of an input, or a part of them, are not written to', async () => {
    using kit = await openKit();
    const first = await kit.runner.exec(testTask(), vertexOf(execOf()), []);
    const mounts = [
      mountOf({ input: -1 }),
      mountOf({ input: 0, dest: '/in', selector: '/part', output: -1, readonly: true }),
    ];
    await kit.runner.exec(testTask(), vertexOf(execOf({ mounts }), 1), first);
    const layers = first[0]?.kind === 'layers' ? first[0].layers : [];
    expect(kit.steps[1]?.mounts).toEqual([
      {
        type: 'layers',
        lowers: await kit.layers.directories(testTask(), layers),
        subpath: '/part',
        target: '/in',
        readonly: true,
      },
    ]);
  });

  test('graphs without a root or with parts missing are refused', async () => {
    expect(await refusal({ mounts: [mountOf({ dest: '/x' })] })).toMatchObject({ code: 'TSB_LLB' });
    for (const type of ['cache', 'secret', 'ssh'] as const)
      expect(await refusal({ mounts: [mountOf(), mountOf({ type, dest: '/x', output: -1 })] })).toMatchObject({
        code: 'TSB_LLB',
      });
  });
});

describe('cache mounts', () => {
  /** Runs steps at a time and gives the directories that they saw. */
  async function directories(
    sharing: 'shared' | 'private' | 'locked',
    at: number,
    moved?: MovedMounts,
  ): Promise<readonly (string | undefined)[]> {
    using kit = await openKit(moved === undefined ? {} : { moved });
    const begun: (string | undefined)[] = [];
    let running = 0;
    let most = 0;
    const isOneByOne = sharing === 'locked' || moved !== undefined;
    kit.worker.on.runStep = async ({ mounts = [] }: StepSpec) => {
      most = Math.max(most, ++running);
      begun.push(mounts[0]?.type === 'bind' ? mounts[0].source : undefined);
      // Until all that may are at work, however long it takes them to begin.
      const together = isOneByOne ? 1 : at;
      for (let waited = 0; waited < 20 || (begun.length < together && waited < 5000); waited += 20)
        await new Promise((resolve) => setTimeout(resolve, 20));
      running--;
      return { kind: 'exited', code: 0 };
    };
    const exec = execOf({ mounts: [mountOf(), cache({ cache: { id: 'c', sharing } })] });
    await Promise.all(Array.from({ length: at }, () => kit.runner.exec(testTask(), vertexOf(exec), [])));
    expect(most).toBe(isOneByOne ? 1 : at);
    return begun;
  }

  test('shared: all use one directory at a time', async () => {
    expect(new Set(await directories('shared', 3)).size).toBe(1);
  });

  test('locked: one after the other', async () => {
    expect(new Set(await directories('locked', 3)).size).toBe(1);
  });

  test('shared: one after the other, where a directory can be in one place at a time', async () => {
    expect(new Set(await directories('shared', 3, new MovedMounts())).size).toBe(1);
  });

  test('where it can be in one place, nobody waits for a container of a frontend, which may be waiting for him', async () => {
    const moved = new MovedMounts();
    using kit = await openKit({ moved });
    const run = (): Promise<unknown> =>
      kit.runner.exec(testTask(), vertexOf(execOf({ mounts: [mountOf(), cache()] })), []);
    const gate = Promise.withResolvers<undefined>();
    kit.worker.on.runStep = async () => {
      await gate.promise;
      return { kind: 'exited', code: 0 };
    };
    const [first, waiting] = [run(), run()];
    const refused = {
      code: 'TSB_STEP',
      message: expect.stringMatching(/"c": a container of the frontend has it/) as string,
    };
    const told = expect(waiting).rejects.toMatchObject(refused);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const taken = moved.take(mountId('c'));
    await told;
    gate.resolve(undefined);
    await first;
    await expect(run()).rejects.toMatchObject(refused);
    taken[Symbol.dispose]();
    await run();
  });

  test('private: each its own', async () => {
    expect(new Set(await directories('private', 3)).size).toBe(3);
  });

  test('private: a copy is no mount of another id, whatever that is called', async () => {
    using kit = await openKit();
    const seen = new Map<string, string>();
    const bothBegan = Promise.withResolvers<undefined>();
    kit.worker.on.runStep = async ({ mounts = [] }: StepSpec) => {
      for (const mount of mounts) if (mount.type === 'bind') seen.set(mount.target, mount.source);
      if (seen.size >= 2) bothBegan.resolve(undefined);
      // The first copy is in use as long as the second step has not begun.
      await bothBegan.promise;
      return { kind: 'exited', code: 0 };
    };
    const step = (id: string, dest: string, sharing: 'private' | 'shared') =>
      kit.runner.exec(
        testTask(),
        vertexOf(execOf({ mounts: [mountOf(), cache({ cache: { id, sharing }, dest })] })),
        [],
      );
    await Promise.all([step('x', '/one', 'private'), step('x', '/two', 'private')]);
    for (const number of [1, 2]) await step(`x#${number}`, `/named${number}`, 'shared');
    await step('x##1', '/named3', 'shared');
    expect(new Set(seen.values()).size).toBe(5);
  });

  test.each(['shared', 'locked', 'private'] as const)(
    '%s: twice in one step, it is the same directory',
    async (sharing) => {
      using kit = await openKit();
      const mounts = [
        mountOf(),
        cache({ cache: { id: 'c', sharing } }),
        cache({ cache: { id: 'c', sharing }, dest: '/again', selector: 'part' }),
      ];
      const task = testTask();
      const timer = setTimeout(() => task.controller.abort(new Error('the step waits for itself')), 20_000);
      await kit.runner.exec(task, vertexOf(execOf({ mounts })), []);
      clearTimeout(timer);
      const [one, two] = kit.steps[0]?.mounts ?? [];
      expect(one).toMatchObject({ type: 'bind', target: '/cache', readonly: false });
      expect(two).toMatchObject({ target: '/again', subpath: 'part' });
      expect(two?.type === 'bind' && two.source).toBe(one?.type === 'bind' && one.source);
    },
  );

  test('that start with other files are other mounts', async () => {
    using kit = await openKit();
    const first = await kit.runner.exec(testTask(), vertexOf(execOf()), []);
    const mounts = [mountOf(), cache(), cache({ input: 0, dest: '/with' })];
    await kit.runner.exec(testTask(), vertexOf(execOf({ mounts }), 1), first);
    const sources = kit.steps[1]?.mounts?.map((mount) => mount.type === 'bind' && mount.source);
    expect(new Set(sources).size).toBe(2);
  });

  test('in a store that cannot be locked fail with that', async () => {
    using kit = await openKit();
    const locks = join(kit.root, 'locks');
    fs.rmSync(locks, { recursive: true });
    fs.writeFileSync(locks, '');
    const exec = execOf({ mounts: [mountOf(), cache({ cache: { id: 'c', sharing: 'private' } })] });
    await expect(kit.runner.exec(testTask(), vertexOf(exec), [])).rejects.toThrow(
      /Cannot lock .*: a parent is not a directory/,
    );
    fs.rmSync(locks);
    fs.mkdirSync(locks);
  });
});

describe('what a step prints', () => {
  test('becomes events, without secrets, however it is cut', async () => {
    using kit = await openKit({ secrets: { t: TOKEN } });
    kit.worker.on.runStep = (_spec, { onOutput }) => {
      for (const [stream, text] of [[1, 'a s3cr'], [2, 'err s3cr3t-token'], [1, '3t-token b\n'], [1, 's3cr']] as const)
        void onOutput?.(stream, Buffer.from(text)); // oxfmt-ignore
      return { kind: 'exited', code: 0 };
    };
    const task = testTask();
    const vertex = vertexOf(execOf());
    await kit.runner.exec(task, vertex, []);
    const shown = (stream: 1 | 2): string =>
      task.seen
        .flatMap((event) =>
          event.type === 'log' && event.stream === stream ? [Buffer.from(event.data).toString()] : [],
        )
        .join('');
    expect(shown(1)).toBe('a *** b\ns3cr');
    expect(shown(2)).toBe('err ***');
    expect(task.seen.every((event) => event.vertex === vertex.digest)).toBe(true);
  });

  test('of a step that was killed, the start of a secret is not shown', async () => {
    using kit = await openKit({ secrets: { t: TOKEN } });
    kit.worker.on.runStep = (_spec, { onOutput }) => {
      void onOutput?.(1, Buffer.from('s3cr3t-toke'));
      throw new TsbuildError('TSB_CANCELED', 'Canceled');
    };
    const task = testTask();
    await expect(kit.runner.exec(task, vertexOf(execOf()), [])).rejects.toThrow('Canceled');
    expect(task.seen).toEqual([]);
  });

  test('secrets are not in what the store keeps of the step', async () => {
    using kit = await openKit({ secrets: { t: TOKEN } });
    const vertex = { ...vertexOf(execOf()), name: 'RUN login s3cr3t-token' };
    await kit.runner.exec(testTask(), vertex, []);
    expect(kit.store.layers.list().map(({ description }) => description)).toEqual(['RUN login ***']);
  });
});
