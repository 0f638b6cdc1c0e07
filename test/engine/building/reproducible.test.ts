import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import type { CompiledGraphs } from '../../../src/engine/compiled.ts';
import type { OutputRequest } from '../../../src/engine/building/outputs.ts';
import { reproducibleOutput, reproducibleRequest } from '../../../src/engine/building/reproducible.ts';
import { type BuildRequest, emptyRequest } from '../../../src/engine/request.ts';
import { TempDir } from '../../tree/support.ts';

const request: BuildRequest = { ...emptyRequest, reproducible: true };
const COMMITTED = 1_600_000_000;

/** A working tree whose only commit was made at that time. */
function workTree(): TempDir {
  const dir = new TempDir();
  dir.write('file', 'x');
  const date = `${COMMITTED} +0200`;
  const env = { ...process.env, GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date, GIT_CONFIG_GLOBAL: '/dev/null' };
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', dir.path, '-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { env, stdio: 'pipe' });
  git('init', '-q');
  git('add', '-A');
  git('commit', '-qm', 'x');
  return dir;
}

describe('a request for one digest wherever it is built', () => {
  test('takes its time from the commit, and permissions as git has them', async () => {
    using dir = workTree();
    expect(await reproducibleRequest({ ...request, contextDir: dir.path })).toMatchObject({
      contextPerms: 'auto',
      sourceDateEpoch: COMMITTED,
    });
  });

  test('has no time where nobody committed anything', async () => {
    using dir = new TempDir();
    for (const one of [request, { ...request, contextDir: dir.path }]) {
      const changed = await reproducibleRequest(one);
      expect(changed.sourceDateEpoch).toBeUndefined();
      expect(changed.buildArgs.size).toBe(0);
    }
  });

  test('lets a remote context say its own', async () => {
    const changed = await reproducibleRequest({ ...request, context: { kind: 'remote', url: 'https://a/b.git' } });
    expect([...changed.buildArgs]).toEqual([['SOURCE_DATE_EPOCH', 'context']]);
  });

  test('leaves what somebody chose', async () => {
    using dir = workTree();
    const contextDir = dir.path;
    const chosen = { ...request, contextDir, sourceDateEpoch: 5, contextPerms: 'preserve' } as const;
    expect(await reproducibleRequest(chosen)).toMatchObject({ sourceDateEpoch: 5, contextPerms: 'preserve' });
    const buildArgs = new Map([['SOURCE_DATE_EPOCH', '7']]);
    const argued = await reproducibleRequest({ ...request, contextDir, buildArgs });
    expect([argued.sourceDateEpoch, argued.buildArgs]).toEqual([undefined, buildArgs]);
  });

  test('is as it was where nobody asked for that', async () => {
    using dir = workTree();
    const plain: BuildRequest = { ...emptyRequest, contextDir: dir.path };
    expect(await reproducibleRequest(plain)).toBe(plain);
  });
});

describe('its outputs', () => {
  const specs = [{ type: 'oci', rewriteTimestamp: false }, { type: 'local' }];
  const output = { specs } as unknown as OutputRequest;
  const times = { oldest: () => 7 } as unknown as Parameters<typeof reproducibleOutput>[3];
  const compiled = (...platforms: { created?: string; epoch?: number }[]) =>
    ({
      platforms: platforms.map(({ created, epoch }) => ({
        ...(created === undefined ? {} : { baseConfig: { created } }),
        ...(epoch === undefined ? {} : { epoch }),
      })),
    }) as unknown as CompiledGraphs;

  test('have no later times than the epoch, and files are as they are', () => {
    const changed = reproducibleOutput(request, compiled({ epoch: 5 }), output, times);
    expect(changed.specs).toEqual([{ type: 'oci', rewriteTimestamp: true }, { type: 'local' }]);
    expect(changed.epoch).toBeUndefined();
    // What the build itself made is as old as the oldest of what it may be made of.
    expect(changed.buildsAfter?.({} as never)).toBe(7);
  });

  test.each<[string, Parameters<typeof compiled>, number]>([
    ['of nothing', [{}], 0],
    ['of a base image', [{ created: '2020-09-13T12:26:40.999Z' }], COMMITTED],
    [
      'of the newest of several',
      [{ created: '2020-09-13T12:26:40Z' }, { created: '2019-01-01T00:00:00Z' }, {}],
      COMMITTED,
    ],
    ['of a base image with a time that is none', [{ created: 'yesterday' }], 0],
    ['of a base image from before 1970', [{ created: '1960-01-01T00:00:00Z' }], 0],
  ])('have the time %s where there is none', (_what, platforms, epoch) => {
    expect(reproducibleOutput(request, compiled(...platforms), output, times).epoch).toBe(epoch);
  });

  test('keep the time that was chosen, and are as they were where nobody asked', () => {
    expect(reproducibleOutput(request, compiled({}), { ...output, epoch: 9 }, times).epoch).toBe(9);
    expect(reproducibleOutput(emptyRequest, compiled({}), output, times)).toBe(output);
  });
});
