import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { describe, expect, test } from 'vitest';
import { storeLayout } from '../../src/store/layout.ts';
import { check } from '../../src/store/index.ts';
import { openStore, realBootId, runUser, tempRoot } from './support.ts';

const works = (program: string, ...args: readonly string[]): boolean => {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};
const PID_NAMESPACE = ['unshare', '-Urp', '--fork'];
/** Locks are taken, given up and seen 2 ms late, so that orders come about that are rare otherwise. */
const LATE = 'strace -f -qqq -o /dev/null -e trace=fcntl,rename -e inject=fcntl,rename:delay_exit=2000'.split(' ');
/** All have seen that a directory is missing before the first makes it. */
const makingLate = (dir: string): readonly string[] => [
  'strace',
  '-f',
  '-qqq',
  '-o',
  '/dev/null',
  '-P',
  dir,
  '-e',
  'trace=mkdir',
  '-e',
  'inject=mkdir:delay_enter=700000',
];

describe('several processes on one store', () => {
  test.each([2, 8])('%i builders and a pruner that checks (REL-12)', async (count) => {
    const root = tempRoot();
    const builders = Array.from({ length: count }, (_, number) => runUser(['builds', root, `b${number}`, '8']));
    const pruner = runUser(['prunes', root, '8']);
    for (const result of await Promise.all([...builders, pruner]))
      expect(result).toMatchObject({ code: 0, stderr: '' });
    using opened = openStore(root, { bootId: realBootId });
    expect((await check(opened.store)).problems).toEqual([]);
    expect(opened.store.images.list().length).toBeGreaterThanOrEqual(count * 5);
    expect(fs.readdirSync(opened.store.layout.sessions)).toEqual([]);
    expect(fs.readdirSync(opened.store.layout.ingest)).toEqual([]);
  });

  test('eight processes make a new store at once', async () => {
    const root = tempRoot();
    const results = await Promise.all(Array.from({ length: 8 }, () => runUser(['build', root, 'same'])));
    for (const result of results) expect(result).toMatchObject({ code: 0, stderr: '' });
    using opened = openStore(root, { bootId: realBootId });
    expect(opened.store.layers.list()).toHaveLength(1);
    expect((await check(opened.store)).problems).toEqual([]);
  });

  test.runIf(works('strace', '-V'))('only the process that makes the reserve of a new store removes it', async () => {
    const root = tempRoot();
    const results = await Promise.all(
      Array.from({ length: 4 }, () => runUser(['build', root, 'same'], makingLate(storeLayout(root).reserve))),
    );
    for (const result of results) expect(result).toMatchObject({ code: 0, stderr: '' });
    using opened = openStore(root, { bootId: realBootId });
    expect(fs.readdirSync(opened.store.layout.reserve)).toHaveLength(16);
  });

  test.runIf(works('unshare', '-Urp', '--fork', 'true'))(
    'containers where all have the same pid do not take each other for themselves (REL-16)',
    async () => {
      const root = tempRoot();
      const builders = [0, 1, 2, 3].map((number) => runUser(['builds', root, `b${number}`, '4'], PID_NAMESPACE));
      for (const result of await Promise.all([...builders, runUser(['prunes', root, '4'], PID_NAMESPACE)]))
        expect(result).toMatchObject({ code: 0, stderr: '' });
      using opened = openStore(root, { bootId: realBootId });
      expect((await check(opened.store)).problems).toEqual([]);
      expect(fs.readdirSync(opened.store.layout.sessions)).toEqual([]);
      expect(fs.readdirSync(opened.store.layout.ingest)).toEqual([]);
    },
  );

  test.runIf(works('strace', '-V'))('none waits for ever, however late locks come (REL-17)', async () => {
    const root = tempRoot();
    const builders = [0, 1, 2].map((number) => runUser(['builds', root, `b${number}`, '2'], LATE));
    for (const result of await Promise.all([...builders, runUser(['prunes', root, '2'], LATE)]))
      expect(result).toMatchObject({ code: 0, stderr: '' });
    using opened = openStore(root, { bootId: realBootId });
    expect((await check(opened.store)).problems).toEqual([]);
  });
});
