/** Scenarios of the worker that run as root and as an ordinary user; loaded by the sandbox's driver. */
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { enterArguments, type ExitStatus, type TreeUsage } from '../../src/sandbox/index.ts';
import type { PathStat, StatPathParams } from '../../src/worker/index.ts';
import { Kit } from '../sandbox/support/kit.ts';

/** What steps leave behind with many owners and modes, and trees too deep for paths, is measured and deleted. */
export async function trees(): Promise<{
  usage: readonly TreeUsage[];
  refused: boolean;
  exists: boolean;
  gone: boolean;
}> {
  await using kit = new Kit();
  const worker = await kit.worker();
  const step = await kit.run(
    `mkdir -p /a/b/c && echo x > /a/b/c/f && ln /a/b/c/f /a/hard && ln -s / /a/link && chown -R 1000:1000 /a/b
     chmod 000 /a/b/c /a && cd /tmp && i=0; while [ $i -lt 1500 ]; do mkdir deepdeep && cd deepdeep; i=$((i+1)); done; echo end`,
  );
  const usage = await worker.call('usage', { paths: [step.upperDir, '/does/not/exist'] });
  let refused = false;
  try {
    readdirSync(join(step.upperDir, 'a/b'));
  } catch {
    refused = true;
  }
  const exists = existsSync(step.upperDir);
  await worker.call('removeTrees', { paths: [step.upperDir, '/does/not/exist'] });
  return { usage, refused, exists, gone: !existsSync(step.upperDir) };
}

/** Deleting follows no link. */
export async function removeLinks(): Promise<{ left: readonly string[] }> {
  await using kit = new Kit();
  const worker = await kit.worker();
  const outside = join(kit.dir, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'kept'), 'x');
  const tree = kit.layer({ link: { link: outside }, 'd/link': { link: '../../outside' }, 'd/f': 'x' });
  const link = kit.layer({ itself: { link: outside } });
  await worker.call('removeTrees', { paths: [tree, join(link, 'itself')] });
  return { left: [...readdirSync(outside), ...readdirSync(link), String(existsSync(tree))] };
}

/** Files of a stack, through links that stay inside. */
export async function stackFiles(): Promise<{
  stats: (Omit<PathStat, 'mtimeNs'> | null)[];
  text: string | null;
  names: readonly string[] | null;
  few: readonly string[] | null;
  none: unknown;
  errors: string[];
}> {
  await using kit = new Kit();
  const worker = await kit.worker();
  const top = kit.layer({
    'etc/os-release': { link: '../usr/lib/os-release' },
    'usr/lib/os-release': 'ID=x',
    up: { link: '../../../../etc' },
    'd/a': '1',
  });
  const layers = [kit.base, top];
  const paths: readonly Partial<StatPathParams>[] = [
    { path: '/etc/os-release' },
    { path: '/etc/os-release', followLast: false },
    { path: '/up/passwd' },
    { path: '/up' },
    { path: '/none' },
    { path: '/etc/passwd/x' },
  ];
  const stats: (Omit<PathStat, 'mtimeNs'> | null)[] = [];
  for (const params of paths) {
    const stat = await worker.call('statPath', { layers, path: '/', ...params });
    if (!stat) stats.push(null);
    else {
      const { mtimeNs: _mtime, ...rest } = stat;
      stats.push(rest);
    }
  }
  const data = await worker.call('readFile', { layers, path: '/etc/os-release', maxBytes: 100 });
  const entries = await worker.call('readDirectory', { layers, path: '/d/..', maxNames: 100 });
  const names = entries?.map(({ name, type, link }) => [name, link ?? type].join(' '));
  const few = await worker.call('readDirectory', { layers, path: '/', maxNames: 1 });
  const none = await worker.call('readDirectory', { layers, path: '/etc/os-release', maxNames: 1 });
  const errors: string[] = [];
  for (const params of [
    { path: '/etc/os-release', maxBytes: 3 },
    { path: '/etc', maxBytes: 10 },
  ]) {
    await worker.call('readFile', { layers, ...params }).catch((error: Error) => errors.push(error.message));
  }
  return {
    stats,
    text: data ? Buffer.from(data).toString() : null,
    names: names ?? null,
    few: few?.map(({ name }) => name) ?? null,
    none: none ?? null,
    errors,
  };
}

/** A step that writes more than anyone takes is held up, and goes on when somebody does. */
export async function backPressure(): Promise<{
  heldUp: boolean;
  total: number;
  status: ExitStatus;
  canceled: string;
}> {
  await using kit = new Kit();
  const worker = await kit.worker();
  await worker.call('prepareUpper', { dir: join(kit.dir, 'x'), lowers: [kit.base] });
  const spec = {
    lowers: [kit.base],
    upper: join(kit.dir, 'x/fs'),
    work: join(kit.dir, 'x/work'),
    args: ['/bin/sh', '-c', 'yes | head -c 8000000'],
    env: ['PATH=/bin'],
    cwd: '/',
    user: '',
    hostname: 'h',
    network: 'host',
    security: 'sandbox',
  } as const;
  let [total, before] = [0, 0];
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const running = worker.call('runStep', spec, {
    onOutput: async (_stream, data) => {
      total += data.length;
      await gate;
    },
  });
  // Until nothing more has come for a while: a machine that is slow only makes that later.
  const count = (): number => total;
  for (let still = 0; still < 5 || count() === 0;) {
    const seen = count();
    await new Promise((resolve) => setTimeout(resolve, 100));
    still = count() === seen ? still + 1 : 0;
  }
  before = total;
  release();
  const status = await running;
  // A consumer that never takes anything does not keep a canceled step alive.
  const controller = new AbortController();
  const stuck = worker.call(
    'runStep',
    { ...spec, args: ['/bin/yes'] },
    { signal: controller.signal, onOutput: () => new Promise(() => undefined) },
  );
  setTimeout(() => controller.abort(), 300);
  const canceled = await stuck.then(
    () => 'ended',
    (error: { code: string }) => error.code,
  );
  return { heldUp: before < 4_000_000, total, status, canceled };
}

/** A step that has both of its streams held up at a time goes on with both. */
export async function bothStreams(): Promise<{ bytes: readonly [number, number]; status: ExitStatus }> {
  await using kit = new Kit();
  const worker = await kit.worker();
  await worker.call('prepareUpper', { dir: join(kit.dir, 'x'), lowers: [kit.base] });
  const bytes: [number, number] = [0, 0];
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const running = worker.call(
    'runStep',
    {
      lowers: [kit.base],
      upper: join(kit.dir, 'x/fs'),
      work: join(kit.dir, 'x/work'),
      args: ['/bin/sh', '-c', '(yes | head -c 4000000) & (yes | head -c 4000000) >&2; wait'],
      env: ['PATH=/bin'],
      cwd: '/',
      user: '',
      hostname: 'h',
      network: 'host',
      security: 'sandbox',
    },
    {
      onOutput: async (stream, data) => {
        bytes[stream - 1] = (bytes[stream - 1] ?? 0) + data.length;
        await gate;
      },
      // A step that hangs fails the test by what it did not say, not by its time.
      signal: AbortSignal.timeout(60_000),
    },
  );
  // Both have printed, and are held up or will be.
  while (bytes.some((count) => count === 0)) await new Promise((resolve) => setTimeout(resolve, 20));
  setTimeout(release, 200);
  const status = await running.catch(
    (error: { code: string }) => ({ kind: 'not-executed', path: '', errno: error.code }) as const,
  );
  return { bytes, status };
}

/** A consumer that fails ends its step, with its own failure, and nothing else. */
export async function brokenConsumer(): Promise<{ said: string; after: ExitStatus | undefined }> {
  await using kit = new Kit();
  const worker = await kit.worker();
  await worker.call('prepareUpper', { dir: join(kit.dir, 'x'), lowers: [kit.base] });
  const running = worker.call(
    'runStep',
    {
      lowers: [kit.base],
      upper: join(kit.dir, 'x/fs'),
      work: join(kit.dir, 'x/work'),
      args: ['/bin/sh', '-c', 'echo begun; sleep 60'],
      env: ['PATH=/bin'],
      cwd: '/',
      user: '',
      hostname: 'h',
      network: 'host',
      security: 'sandbox',
    },
    {
      onOutput: () => {
        throw new Error('the consumer is broken');
      },
      signal: AbortSignal.timeout(60_000),
    },
  );
  const said = await running.then(
    () => 'ended',
    (error: Error) => error.message,
  );
  const { status } = await kit.run('true');
  return { said, after: status };
}

/** Errors keep their code, message and hint; a worker that ends fails what is under way and what comes later. */
export async function failures(): Promise<{
  unknown: string;
  step: unknown;
  ended: string;
  later: string;
  again: string;
}> {
  await using kit = new Kit();
  const worker = await kit.worker();
  const code = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => 'done',
      (error: { code: string }) => error.code,
    );
  const unknown = await code(worker.call('nonsense' as 'usage', { paths: [] }));
  const step = await kit.run('true', { user: 'nobody-here' });
  const running = kit.run('sleep 100').then((result) => result.code ?? 'done');
  await new Promise((resolve) => setTimeout(resolve, 300));
  await worker[Symbol.asyncDispose]();
  return {
    unknown,
    step: { code: step.code, error: step.error },
    ended: await running,
    later: await code(worker.call('usage', { paths: ['/'] })),
    again: await code(Promise.resolve(worker[Symbol.asyncDispose]())),
  };
}

/** The attributes of a new layer's root are those of the topmost layer's. */
export async function prepared(): Promise<{ mode: number; mtime: number; uid: number; again: boolean }> {
  await using kit = new Kit();
  const worker = await kit.worker();
  const lower = kit.layer({ x: '' });
  execFileSync('chmod', ['1751', lower]);
  execFileSync('touch', ['-d', '@1234567', lower]);
  const dir = join(kit.dir, 'new');
  await worker.call('prepareUpper', { dir, lowers: [kit.base, lower] });
  const { mode, mtimeMs, uid } = lstatSync(join(dir, 'fs'));
  await worker.call('prepareUpper', { dir: join(kit.dir, 'scratch'), lowers: [] });
  return {
    mode: mode & 0o7777,
    mtime: mtimeMs / 1000,
    uid: uid - kit.ownId(0),
    again: existsSync(join(kit.dir, 'scratch/work')),
  };
}

/** Mounts stacks from a program in namespace A. */
export async function mounts(): Promise<Record<string, unknown>> {
  await using kit = new Kit();
  const privateDir = join(kit.dir, 'private');
  mkdirSync(privateDir);
  const layers = Array.from({ length: 60 }, (_, index) => kit.layer({ same: `${index}`, [`own/${index}`]: '' }));
  const upper = { fs: join(kit.dir, 'upper'), work: join(kit.dir, 'work') };
  for (const path of Object.values(upper)) mkdirSync(path);
  const program = fileURLToPath(new URL('./mount-program.ts', import.meta.url));
  const command = [process.execPath, program, JSON.stringify({ privateDir, layers, upper })];
  const args = enterArguments({ plan: kit.plan, privateTmpfs: privateDir, parentPid: process.pid }, command);
  const result = JSON.parse(execFileSync(kit.helperPath, args, { encoding: 'utf8' })) as Record<string, unknown>;
  return {
    ...result,
    outside: readdirSync(privateDir),
    written: readdirSync(upper.fs).toSorted(),
    work: readdirSync(upper.work),
  };
}

/** Random stacks of more layers than an overlay is said to take. */
export async function deepStacks(): Promise<unknown> {
  await using kit = new Kit();
  const privateDir = join(kit.dir, 'private');
  mkdirSync(privateDir);
  const program = fileURLToPath(new URL('./deep-program.ts', import.meta.url));
  const command = [process.execPath, program, JSON.stringify({ privateDir, dir: kit.dir })];
  const args = enterArguments({ plan: kit.plan, privateTmpfs: privateDir, parentPid: process.pid }, command);
  return JSON.parse(execFileSync(kit.helperPath, args, { encoding: 'utf8' }));
}
