import { describe, expect, test } from 'vitest';
import type { StepResult } from './support/kit.ts';
import { everyone, runScenario } from './support/run-as.ts';

describe.each(everyone)('hostile images and steps (%s)', (who) => {
  test('system directories and files of the image that lead to the machine', async () => {
    const { results, untouched, leaks } = await runScenario<{
      results: Record<string, StepResult>;
      untouched: boolean;
      leaks: boolean;
    }>(who, 'hostileImages');
    expect(untouched).toBe(true);
    expect(leaks).toBe(false);
    for (const name of ['dev', 'dev, relative', 'proc', 'sys']) {
      expect(results[name]?.error).toMatch(/in the image is not a directory/);
      expect(results[name]?.code).toBe('TSB_STEP');
    }
    expect(results['passwd is a link']?.error).toMatch(/user "alice"/);
    for (const name of ['etc', 'etc, relative', 'hosts', 'dangling hosts', 'null is a file', 'mount target']) {
      expect(results[name]?.status).toEqual({ kind: 'exited', code: 0 });
      expect(results[name]?.out).toContain('localhost buildkitsandbox');
      expect(results[name]?.out).toMatch(/^crw.* 1, +3 .*\/dev\/null$/m);
      // Nothing that was made for mounts stays.
      expect(results[name]?.upper.filter((path) => !/^(etc|tmp)$/.test(path))).toEqual([]);
    }
  });

  test('working directories that lead out of the root', async () => {
    const refused = [
      ...Array.from({ length: 30 }, (_, fd) => `/proc/self/fd/${fd}`),
      '/proc/self/cwd',
      '/proc/1/root',
      '/proc/self',
      '/fd-link',
      '/file',
    ];
    const inside = ['/out', '/../..', '/new/dir', '/tmp/../root'];
    const { results, untouched } = await runScenario<{ results: StepResult[]; untouched: boolean }>(
      who,
      'workingDirectories',
      [...refused, ...inside],
    );
    expect(untouched).toBe(true);
    for (const [index, path] of refused.entries()) {
      expect([path, results[index]?.status]).toEqual([path, undefined]);
      expect(results[index]?.error).toMatch(/\(cwd\)/);
      expect(results[index]?.code).toBe('TSB_STEP');
    }
    for (const [index, path] of inside.entries()) {
      const result = results[refused.length + index];
      expect([path, result?.err]).toEqual([
        path,
        "cat: can't open '../../../../../../etc/hostname': No such file or directory\n",
      ]);
      if (path !== '/out') expect(result?.out.split('\n')[0]).toBe(new URL(path, 'file:').pathname);
    }
  });

  test('mount points that turn into links to the machine are not removed there', async () => {
    const { results, untouched } = await runScenario<{ results: StepResult[]; untouched: boolean }>(who, 'stubTrap');
    expect(untouched).toBe(true);
    expect(results.map(({ status }) => status)).toEqual(results.map(() => ({ kind: 'exited', code: 0 })));
  });

  test('mount sources are resolved beneath their own root', async () => {
    const { results, untouched, written } = await runScenario<{
      results: Record<string, StepResult>;
      untouched: boolean;
      written: string[];
    }>(who, 'mountSources');
    expect(untouched).toBe(true);
    const out = (name: string): string | undefined => results[name]?.out;
    expect(out('bind')).toBe('bound');
    expect(written).toEqual(['sub/written']);
    expect(out('bind read-only')).toBe('bound');
    expect(results['bind read-only']?.err).toMatch(/Read-only file system/);
    expect(out('bind file')).toBe('bound');
    expect(out('layers')).toBe('from stageon top');
    expect(results['layers']?.err).toMatch(/Read-only file system/);
    expect(out('layers subpath')).toBe('from stagex\n');
    expect(out('one layer')).toBe('from stage');
    expect([results['no layers']?.out, results['no layers']?.status]).toEqual(['', { kind: 'exited', code: 0 }]);
    // `/rootdir -> /` is the stage's own root (CVE-2024-1753).
    expect(out('root link')).toBe('data\nout\nrootdir\nup\n');
    expect(out('up link')).toBe('data\nout\nrootdir\nup\n');
    for (const name of ['bind out', 'bind up', 'out link']) expect(results[name]?.error).toMatch(/ENOENT/);
    expect(results['tmpfs']?.out).toBe('750\n');
    expect(results['tmpfs']?.err).toMatch(/No space left/);
    expect(out('file')).toBe(' 00 01 ff\n440 1000 50\n');
    expect(results['file']?.err).toMatch(/Read-only file system/);
  });

  test('mount targets stay in the root and out of /proc', async () => {
    const refused = [
      '/',
      '/..',
      '/to-up',
      '/proc',
      '/proc/sys/kernel',
      '/proc/self/fd/3',
      '/proc/new',
      '/to-proc',
      '/to-proc/sys',
      '',
      'relative',
      '/loop',
      '/etc/passwd',
    ];
    const mounted = {
      '/var/run/x': '/run/x',
      '/sys/fs/cgroup': '/sys/fs/cgroup',
      '/to-sys': '/sys/fs/cgroup',
      '/dev/shm': '/dev/shm',
      '/new/a/b': '/new/a/b',
    };
    const results = await runScenario<StepResult[]>(who, 'mountTargets', [...refused, ...Object.keys(mounted)]);
    for (const [index, path] of refused.entries()) expect([path, results[index]?.code]).toEqual([path, 'TSB_STEP']);
    for (const [index, path] of Object.values(mounted).entries()) {
      const result = results[refused.length + index];
      expect(result?.out).toMatch(new RegExp(`^tmpfs ${path} tmpfs rw,nosuid,nodev`, 'm'));
      expect(result?.upper).toEqual([]);
    }
  });

  test('mount points leave no trace and no time of a directory changes', async () => {
    const { result, mtimes, before } = await runScenario<{
      result: StepResult;
      mtimes: Record<string, number>;
      before: Record<string, number>;
    }>(who, 'stubs');
    expect(result.status).toEqual({ kind: 'exited', code: 0 });
    expect(result.out).toMatch(/^boundsecret-bytesdr-xr-xr-x .*\/proc\ndr-xr-xr-x .*\/sys\n$/);
    // Directories that were only copied up are gone, but for those above what the step touched.
    // Without an overlay there is nothing to copy up.
    expect(result.upper).toEqual(['opt', 'opt/app']);
    for (const [name, mtime] of Object.entries(mtimes)) expect([name, mtime]).toEqual([name, before[name]]);
  });

  test('databases of users that are traps', async () => {
    const { results, untouched } = await runScenario<{
      results: Record<string, StepResult & { ms: number }>;
      untouched: boolean;
    }>(who, 'userFiles');
    expect(untouched).toBe(true);
    for (const [name, { ms }] of Object.entries(results)) expect([name, ms < 10_000]).toEqual([name, true]);
    const refused: Record<string, RegExp> = {
      missing: /is not in the image's \/etc\/passwd/,
      fifo: /not a regular file/,
      directory: /not a regular file/,
      'link out': /is not in the image's/,
      'link to fifo': /not a regular file/,
      'link to device': /is not in the image's/,
      huge: /larger than 10 MiB/,
      'one long line': /is not in the image's/,
      'numbers that wrap': /is not in the image's/,
    };
    for (const [name, text] of Object.entries(refused)) {
      expect([name, results[name]?.error ?? '']).toEqual([name, expect.stringMatching(text)]);
      expect(results[name]?.code).toBe('TSB_STEP');
    }
    const given: Record<string, string> = {
      'missing, numeric': '1234\n5678\n5678\n/\n',
      'fifo, numeric': '1234\n0\n0\n/\n',
      'link inside': '1000\n1000\n1000\n/home/alice\n',
      'many lines': '1000\n1000\n1000\n/home/alice\n',
      'many groups': '1000\n1000\n7 1000\n/home/alice\n',
      'bytes that are NUL': '1000\n1000\n1000\n/home/alice\n',
      'group that wraps': '1000\n1000\n12 1000\n/home/alice\n',
    };
    for (const [name, text] of Object.entries(given)) expect([name, results[name]?.out]).toEqual([name, text]);
  });
});
