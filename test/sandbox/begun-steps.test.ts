import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Kit } from './support/kit.ts';

/** A sandbox that waits for its step. */
interface Begun {
  readonly pid: number;
  /** Its mount namespace, as links in /proc name it. */
  readonly mounts: string;
}

const SOON = { timeout: 20_000, interval: 10 };

let kit: Kit;
beforeAll(() => {
  kit = new Kit('userns');
});
afterAll(async () => {
  await kit[Symbol.asyncDispose]();
});

function readOr(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}

/** First processes of pid namespaces that stand where this kit's helpers let sandboxes wait. */
function begun(): readonly Begun[] {
  const staging = join(kit.dir, 'private/staging');
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && readOr(() => readlinkSync(`/proc/${name}/cwd`)) === staging)
    .filter((name) => /^NSpid:.*\t1$/m.test(readOr(() => readFileSync(`/proc/${name}/status`, 'utf8'))))
    .map((name) => ({ pid: Number(name), mounts: readOr(() => readlinkSync(`/proc/${name}/ns/mnt`)) }));
}

/** The one that waits when steps have ended. */
async function waiting(): Promise<Begun> {
  await expect.poll(begun, SOON).toHaveLength(1);
  const [one] = begun();
  if (one === undefined) throw new Error('no sandbox waits');
  return one;
}

/** A step that others follow. */
const run: Kit['run'] = (command, more) => kit.run(command, { followed: true, ...more });

const ownMounts = 'readlink /proc/self/ns/mnt';

test('a step runs in the sandbox that was begun when the one before it had ended', async () => {
  await run('true');
  const { pid, mounts } = await waiting();
  const { status, out } = await run(`${ownMounts}; mkdir /made; ls /dev/shm /sys/kernel >/dev/null && echo there`);
  expect([status, out]).toEqual([{ kind: 'exited', code: 0 }, `${mounts}\nthere\n`]);
  // And the next is another.
  expect((await waiting()).pid).not.toBe(pid);
});

test('what is of one step is not in the next', async () => {
  await run(['/bin/sh', '-c', 'echo x >/dev/shm/x; echo y >/y; mount'], {
    hostname: 'first',
    env: ['PATH=/bin', 'SECRET=1'],
  });
  await waiting();
  const { out } = await run(
    'hostname; echo "[$SECRET]"; ls /dev/shm; test -e /y || echo none; ls /proc/self/fd | wc -l',
    {
      hostname: 'second',
    },
  );
  // 0, 1, 2 and the directory itself.
  expect(out).toBe('second\n[]\nnone\n4\n');
});

test('a step with another setting has a sandbox of its own, and the one that waited is gone', async () => {
  await run('true');
  const before = await waiting();
  const none = await run('ls /sys/class/net; df /dev/shm | tail -n 1', {
    network: 'none',
    shmSize: 1 << 20,
  });
  expect(none.out).toMatch(/^lo\n\S+ +1024 /);
  expect((await waiting()).pid).not.toBe(before.pid);
});

test('a sandbox that somebody ends while it waits is made again', async () => {
  await run('true');
  const { pid } = await waiting();
  process.kill(pid, 'SIGKILL');
  await expect.poll(() => begun().map((one) => one.pid), SOON).not.toContain(pid);
  const { status, error, out } = await run(ownMounts);
  expect([status, error, out]).toEqual([{ kind: 'exited', code: 0 }, undefined, expect.stringMatching(/^mnt:/)]);
});

test('what cannot be set up is told of a step that was begun as of any other', async () => {
  await run('true');
  await waiting();
  const { error } = await run('true', {
    mounts: [{ type: 'bind', source: join(kit.dir, 'missing'), target: '/x' }],
  });
  expect(error).toMatch(/cannot open mount source ".*missing" \(ENOENT\)/);
  await waiting();
  const file = await run('true', { lowers: [kit.base, kit.layer({ proc: 'no directory' })] });
  expect(file.error).toBe('Cannot set up the step (mounts): /proc in the image is not a directory (ENOTDIR)');
  await waiting();
  const program = await run(['/bin/nothing']);
  expect(program.status).toEqual({ kind: 'not-executed', path: '/bin/nothing', errno: 'ENOENT' });
});

test('a large description arrives whole', async () => {
  await run('true');
  await waiting();
  const data = Buffer.alloc(3 << 20, 'abc');
  const { out } = await run('wc -c </large', { mounts: [{ type: 'file', target: '/large', data }] });
  expect(out.trim()).toBe(String(data.length));
});

test('nothing waits for a step that is not known of', async () => {
  await run('true');
  const { pid, mounts } = await waiting();
  const { out } = await kit.run(ownMounts);
  expect(out).toBe(`${mounts}\n`);
  // What that one was is gone before the next is done.
  await kit.run('true');
  expect(begun().map((one) => one.pid)).not.toContain(pid);
  expect(begun()).toEqual([]);
});

test('nothing waits when the worker has ended', async () => {
  const own = new Kit('userns');
  const before = kit;
  await own.run('true', { followed: true });
  kit = own;
  try {
    await waiting();
    await (await own.worker())[Symbol.asyncDispose]();
    await expect.poll(begun, SOON).toEqual([]);
  } finally {
    kit = before;
    await own[Symbol.asyncDispose]();
  }
});
