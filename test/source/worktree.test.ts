import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { parseGitIndex } from '../../src/source/git-index.ts';
import { commitTimeOf, trackedModes, worktreeStamp } from '../../src/source/index.ts';
import { findWorktree } from '../../src/source/worktree.ts';
import { toByteString } from '../../src/tree/index.ts';
import { hasGit } from '../support/git-server.ts';

const held: string[] = [];
afterEach(() => {
  for (const dir of held.splice(0)) rmSync(dir, { recursive: true, force: true });
});

function newDirectory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-worktree-'));
  held.push(dir);
  return dir;
}

function git(dir: string, ...args: readonly string[]): string {
  return execFileSync('git', ['-c', 'protocol.file.allow=always', ...args], {
    cwd: dir,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: '/usr/local/bin:/usr/bin:/bin',
      HOME: '/nonexistent',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_AUTHOR_NAME: 'n',
      GIT_AUTHOR_EMAIL: 'e',
      GIT_COMMITTER_NAME: 'n> 9 +0000',
      GIT_COMMITTER_EMAIL: 'e',
      GIT_AUTHOR_DATE: '1500000000 +0000',
      GIT_COMMITTER_DATE: '1600000000 -0500',
    },
  });
}

function write(dir: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
}

function repository(files: Readonly<Record<string, string>>): string {
  const dir = newDirectory();
  git(dir, 'init', '-q', '-b', 'main', '.');
  write(dir, files);
  git(dir, 'add', '-A', '.');
  git(dir, 'commit', '-q', '--allow-empty', '-m', 'message\n\ncommitter x <y> 7 +0000');
  return dir;
}

describe.skipIf(!hasGit)('a git index', () => {
  // Three of the long ones are still a file's name.
  const name = fc
    .array(fc.constantFrom('a', 'B', '.x', 'ü', ' ', '#', 'long'.repeat(20), '\n'), { minLength: 1, maxLength: 3 })
    .map((parts) => parts.join(''));
  const paths = fc.uniqueArray(
    fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/')),
    { minLength: 1, maxLength: 12 },
  );

  test('names what git says that it tracks, in each version of the format', () => {
    fc.assert(
      fc.property(paths, fc.constantFrom('2', '4'), (all, version) => {
        const dir = newDirectory();
        git(dir, 'init', '-q', '.');
        // A path that another one needs as a directory cannot be a file too.
        const files = all.filter((path) => !all.some((other) => other.startsWith(`${path}/`)));
        write(dir, Object.fromEntries(files.map((path) => [path, ''])));
        git(dir, 'update-index', '--index-version', version);
        git(dir, 'add', '-A', '-f', '.');
        const listed = git(dir, 'ls-files', '-z').split('\0').filter(Boolean);
        const parsed = parseGitIndex(readFileSync(join(dir, '.git/index')));
        expect(new Set(parsed.map(({ path }) => path))).toEqual(new Set(listed.map((path) => toByteString(path))));
      }),
      { numRuns: 12 },
    );
  });

  test('of a repository with SHA-256, and with entries that are only meant to be added', () => {
    const dir = newDirectory();
    git(dir, 'init', '-q', '--object-format=sha256', '.');
    write(dir, { one: '1', 'dir/two': '2', later: '' });
    git(dir, 'add', 'one', 'dir');
    git(dir, 'add', '-N', 'later');
    const parsed = parseGitIndex(readFileSync(join(dir, '.git/index')));
    expect(parsed.map(({ path }) => path)).toEqual(['dir/two', 'later', 'one']);
  });

  test('that is cut or changed anywhere is an error or still clean names', () => {
    const dir = repository({ one: '1', 'dir/two': '2', 'dir/three': '3' });
    const whole = readFileSync(join(dir, '.git/index'));
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.boolean(), (at, byte, cut) => {
        const bytes = Buffer.from(whole);
        bytes[at] = byte;
        try {
          const parsed = parseGitIndex(cut ? bytes.subarray(0, at) : bytes);
          for (const { path } of parsed) expect(path.split('/')).not.toContain('..');
        } catch (error) {
          expect(error).toMatchObject({ code: 'TSB_CONTEXT', hint: expect.any(String) as string });
        }
      }),
      { numRuns: 300 },
    );
  });

  test('that names only a part of the files is refused with what to type', () => {
    const dir = repository({ one: '1' });
    git(dir, 'update-index', '--split-index');
    write(dir, { two: '2' });
    git(dir, 'add', 'two');
    expect(() => trackedModes(dir)).toThrow(
      expect.objectContaining({ code: 'TSB_CONTEXT', hint: expect.stringContaining('--no-split-index') as string }),
    );
  });
});

describe.skipIf(!hasGit)('permissions as git has them', () => {
  test('hold for tracked files and the directories on the way to them, whatever the umask was', () => {
    const dir = repository({ 'dir/file': '', 'dir/run': '', top: '' });
    symlinkSync('top', join(dir, 'link'));
    git(dir, 'add', 'link');
    write(dir, { 'made/file': '', 'dir/made': '' });
    const modes = trackedModes(dir);
    const timed = trackedModes(dir, 7);
    const table: readonly (readonly [string, number, boolean, number | undefined])[] = [
      ['', 0o40700, true, 0o755],
      ['dir', 0o42775, true, 0o755],
      ['dir/file', 0o100600, false, 0o644],
      ['dir/file', 0o100664, false, 0o644],
      ['dir/run', 0o100700, false, 0o755],
      ['dir/run', 0o104775, false, 0o755],
      ['dir/made', 0o100600, false, undefined],
      ['made', 0o40700, true, undefined],
      ['made/file', 0o100600, false, undefined],
      ['link', 0o100600, false, undefined],
    ];
    for (const [path, mode, isDir, expected] of table) expect(modes?.modeOf(path, mode, isDir), path).toBe(expected);
    const tracked = ['', 'dir', 'dir/file', 'dir/run', 'link'];
    for (const [path] of table) expect(timed?.timeOf(path), path).toBe(tracked.includes(path) ? 7 : undefined);
    expect(modes?.timeOf('dir/file'), 'only where a time was given').toBe(undefined);
  });

  test('also in a subdirectory, a submodule and a further working tree', () => {
    const inner = repository({ 'lib/file': '' });
    const outer = repository({ 'app/src/file': '', other: '' });
    git(outer, 'submodule', '--quiet', 'add', inner, 'app/sub');
    git(outer, 'commit', '-q', '-m', 'm');
    const app = trackedModes(join(outer, 'app'));
    expect(app?.modeOf('src/file', 0o100600, false)).toBe(0o644);
    expect(app?.modeOf('sub/lib/file', 0o100600, false)).toBe(0o644);
    expect(app?.modeOf('sub/lib', 0o40700, true)).toBe(0o755);
    expect(app?.modeOf('other', 0o100600, false)).toBeUndefined();
    const linked = join(newDirectory(), 'linked');
    git(outer, 'worktree', 'add', '-q', linked);
    expect(trackedModes(linked)?.modeOf('other', 0o100600, false)).toBe(0o644);
  });

  test('of a directory that is in no working tree there are none', async () => {
    const dir = newDirectory();
    expect(trackedModes(dir)).toBeUndefined();
    expect(await commitTimeOf(dir)).toBeUndefined();
    expect(worktreeStamp(dir)).toBeUndefined();
    // A working tree without its repository, as copied into a container.
    writeFileSync(join(dir, '.git'), 'gitdir: /nonexistent/.git/worktrees/x\n');
    expect(findWorktree(dir)).toBeUndefined();
  });
});

describe.skipIf(!hasGit)('the time of a commit', () => {
  test("is its committer's, and not what else looks like it", async () => {
    const dir = repository({ 'dir/file': '' });
    expect(await commitTimeOf(dir)).toBe(1_600_000_000);
    expect(await commitTimeOf(join(dir, 'dir'))).toBe(1_600_000_000);
    git(dir, 'pack-refs', '--all');
    git(dir, 'gc', '-q');
    expect(await commitTimeOf(dir), 'out of a pack').toBe(1_600_000_000);
  });

  test('runs nothing that the repository names', async () => {
    const dir = repository({ file: '' });
    const canary = join(dir, 'ran');
    writeFileSync(join(dir, 'evil'), `#!/bin/sh\ntouch ${canary}\n`);
    chmodSync(join(dir, 'evil'), 0o755);
    for (const key of ['core.fsmonitor', 'core.pager', 'gpg.program', 'core.sshCommand', 'core.alternateRefsCommand'])
      git(dir, 'config', key, join(dir, 'evil'));
    git(dir, 'config', 'log.showSignature', 'true');
    expect(await commitTimeOf(dir)).toBe(1_600_000_000);
    expect(() => readFileSync(canary)).toThrow('ENOENT');
  });

  test('of a repository without a commit is an error that says what to do', async () => {
    const dir = newDirectory();
    git(dir, 'init', '-q', '.');
    await expect(commitTimeOf(dir)).rejects.toMatchObject({
      code: 'TSB_CONTEXT',
      hint: expect.stringContaining('--source-date-epoch') as string,
    });
  });

  test('what a memory of builds stands on changes with tables of references, as newer repositories have them', () => {
    const dir = newDirectory();
    // HEAD says that nothing is where older programs look (git-init(1), --ref-format=reftable).
    write(dir, {
      '.git/HEAD': 'ref: refs/heads/.invalid\n',
      '.git/index': '',
      '.git/reftable/tables.list': 'one.ref\n',
    });
    const before = worktreeStamp(dir);
    expect(worktreeStamp(dir)).toEqual(before);
    write(dir, { '.git/reftable/new': 'one.ref\ntwo.ref\n' });
    renameSync(join(dir, '.git/reftable/new'), join(dir, '.git/reftable/tables.list'));
    expect(worktreeStamp(dir)).not.toEqual(before);
  });

  test('what a memory of builds stands on changes with each commit and each file that is added', () => {
    const dir = repository({ file: '' });
    const seen = new Set<string>();
    const look = (): number => seen.add(JSON.stringify(worktreeStamp(dir))).size;
    expect([look(), look()]).toEqual([1, 1]);
    write(dir, { more: '' });
    git(dir, 'add', 'more');
    expect(look()).toBe(2);
    git(dir, 'commit', '-q', '-m', 'm');
    expect(look()).toBe(3);
    git(dir, 'pack-refs', '--all');
    look();
    git(dir, 'commit', '-q', '--allow-empty', '-m', 'm');
    expect(look()).toBe(5);
  });
});
