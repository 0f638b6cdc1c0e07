import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { check, prune } from '../../src/store/index.ts';
import { collectGarbage } from './collect-garbage.ts';
import { ended, filesBelow, openStore, realBootId, removeTrees, runUser, startUser, tempRoot } from './support.ts';

const hasStrace = ((): boolean => {
  try {
    execFileSync('strace', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** What must hold after any crash: it opens by itself, nothing visible is wrong, one collection cleans up. */
async function expectSound(root: string): Promise<void> {
  using opened = openStore(root, { bootId: realBootId, now: Date.now() });
  const { store } = opened;
  expect(opened.warnings).toEqual([]);
  const { problems } = await check(store);
  expect(problems.filter(({ harmless }) => !harmless)).toEqual([]);
  await collectGarbage(store, removeTrees);
  expect((await check(store)).problems).toEqual([]);
  expect(filesBelow(store.layout.ingest)).toEqual([]);
  expect(filesBelow(store.layout.locks)).toEqual([]);
  expect(fs.readdirSync(store.layout.garbage)).toEqual([]);
  expect(fs.readdirSync(store.layout.sessions).length).toBeLessThanOrEqual(1);
}

const injection = (fault: string): string[] => {
  const calls = fault.split(':')[0] ?? '';
  return ['strace', '-f', '-qqq', '-o', '/dev/null', '-e', `trace=${calls}`, '-e', `inject=${fault}`];
};

/** A copy of a store that already holds some builds, so that both making and replacing are seen. */
function copyOf(template: string): string {
  const root = tempRoot();
  fs.cpSync(template, root, { recursive: true, preserveTimestamps: true });
  fs.chmodSync(root, 0o700);
  return root;
}

const POINTS = ['rename', 'fsync', 'fdatasync', 'unlink', 'mkdir', 'pwrite64', 'ftruncate'] as const;

describe.runIf(hasStrace)('killed at a system call', () => {
  test.each([
    ['build', ['a', 'new'], { pwrite64: 13, fsync: 3, mkdir: 2, fdatasync: 2 }],
    ['prune', ['all'], { pwrite64: 11, unlink: 3, fsync: 2, mkdir: 2, fdatasync: 2, rename: 2 }],
  ] as const)('%s: the store is sound, and the next try succeeds (REL-02)', async (what, args, faults) => {
    const template = tempRoot();
    await runUser(['build', template, 'a', 'b', 'c']);
    const steps: Readonly<Record<string, number>> = faults;
    let kills = 0;
    const explore = async (call: string): Promise<void> => {
      for (let when = 1; when < 30; when += steps[call] ?? 1) {
        const root = copyOf(template);
        const result = await runUser([what, root, ...args], injection(`${call}:signal=KILL:when=${when}`));
        if (result.code === 0) return;
        kills++;
        await expectSound(root);
        expect(await runUser([what, root, ...args])).toMatchObject({ code: 0, stderr: '' });
        await expectSound(root);
        fs.rmSync(root, { recursive: true });
      }
    };
    const calls = [...POINTS];
    const lane = async (): Promise<void> => {
      for (let call = calls.pop(); call; call = calls.pop()) await explore(call);
    };
    await Promise.all([lane(), lane(), lane()]);
    expect(kills).toBeGreaterThan(10);
  });

  test.each([
    'fsync:error=EIO:when=1',
    'fsync:error=ENOSPC:when=1',
    'rename:error=EIO:when=1',
    'rename:error=EDQUOT:when=1',
  ])('a failing %s publishes nothing (REL-07)', async (fault) => {
    const root = tempRoot();
    openStore(root).store.close();
    const result = await runUser(['ingest', root, 'worker', 'content'], injection(fault));
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(fault.includes('EIO') ? /TSB_STORE/ : /TSB_NO_SPACE/);
    expect(filesBelow(join(root, 'blobs'))).toEqual([]);
    expect(filesBelow(join(root, 'ingest'))).toEqual([]);
    await expectSound(root);
  });
});

describe('killed at any time', () => {
  test('nine times in a row on one store, while others go on (REL-04)', async () => {
    const root = tempRoot();
    const started = Date.now();
    await runUser(['builds', root, 'first', '6']);
    const whole = Date.now() - started;
    for (let round = 0; round < 9; round++) {
      const doomed = startUser([
        round % 3 === 2 ? 'prunes' : 'builds',
        root,
        ...(round % 3 === 2 ? ['50'] : [`k${round}`, '60']),
      ]);
      const spared = runUser(['builds', root, `s${round}`, '3']);
      const end = ended(doomed);
      await delay(whole * (0.3 + round / 9));
      doomed.kill('SIGKILL');
      await end;
      expect(await spared).toMatchObject({ code: 0, stderr: '' });
    }
    await expectSound(root);
    using opened = openStore(root, { now: Date.now() });
    for (const { name } of opened.store.images.list()) opened.store.images.remove(name);
    await prune(opened.store, { removeTrees, all: true });
    expect([...opened.store.blobs.list()]).toEqual([]);
    expect(opened.store.layers.list()).toEqual([]);
    expect(fs.readdirSync(opened.store.layout.snapshots)).toEqual([]);
  });
});
