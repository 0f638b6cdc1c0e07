import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { freeLeftovers, NewFile, openOutput, writeOutput } from '../../src/files/index.ts';
import { testAsRoot } from '../support/real-root.ts';
import { run } from '../support/tools.ts';
import { TempDir } from '../tree/support.ts';

const modeOf = (path: string): number => fs.statSync(path).mode & 0o7777;
const WRITER = fileURLToPath(new URL('programs/writer.ts', import.meta.url));

/** What file systems can do, and what tests take from them. */
const everywhere = [
  ['where files need no name', {}],
  ['where each file has a name', { openUnnamed: () => undefined }],
  [
    'where nothing without a name may get one',
    {
      link: (): void => {
        throw Object.assign(new Error('EPERM'), { code: 'EPERM' });
      },
    },
  ],
] as const;

describe.each(everywhere)('a new file, %s', (_, system) => {
  test('takes the place of another one when it is whole, for its owner alone', () => {
    using dir = new TempDir();
    const target = dir.write('target', 'old');
    {
      using file = NewFile.create(target, {}, system);
      file.write(Buffer.from('new '));
      file.write(Buffer.from('ünïcode'));
      expect(fs.readFileSync(target, 'utf8')).toBe('old');
      file.commit();
      expect(fs.readFileSync(target, 'utf8')).toBe('new ünïcode');
    }
    expect(modeOf(target)).toBe(0o600);
    expect(fs.readdirSync(dir.path)).toEqual(['target']);
  });

  test('gets a name that nothing has', () => {
    using dir = new TempDir();
    const target = join(dir.path, 'x'.repeat(255));
    using file = NewFile.create(target, {}, system);
    // More than one piece of a copy.
    const bytes = Buffer.alloc((2 << 20) + 5, 'abcdefg');
    file.write(bytes);
    file.commit();
    expect(fs.readFileSync(target).equals(bytes)).toBe(true);
    expect(fs.readdirSync(dir.path)).toHaveLength(1);
  });

  test('is not there when it was not committed', () => {
    using dir = new TempDir();
    const target = dir.write('target', 'old');
    {
      using file = NewFile.create(target, {}, system);
      file.write(Buffer.from('new'));
    }
    expect(fs.readFileSync(target, 'utf8')).toBe('old');
    expect(fs.readdirSync(dir.path)).toEqual(['target']);
  });

  test('replaces a link, and follows none', () => {
    using dir = new TempDir();
    dir.write('real', 'old');
    dir.link('real', 'target');
    using file = NewFile.create(join(dir.path, 'target'), {}, system);
    file.write(Buffer.from('new'));
    file.commit();
    expect(fs.lstatSync(join(dir.path, 'target')).isFile()).toBe(true);
    expect(fs.readFileSync(join(dir.path, 'real'), 'utf8')).toBe('old');
  });

  test('has the permissions that it is to have, whatever the umask is', () => {
    using dir = new TempDir();
    const before = process.umask(0o077);
    try {
      const made = (name: string, options: { create?: number; mode?: number }): number => {
        using file = NewFile.create(join(dir.path, name), options, system);
        file.commit();
        return modeOf(join(dir.path, name));
      };
      expect(made('a', { mode: 0o644 })).toBe(0o644);
      expect(made('b', { create: 0o666 })).toBe(0o600);
    } finally {
      process.umask(before);
    }
  });

  test('leaves nothing where it cannot be made', () => {
    using dir = new TempDir();
    expect(() => NewFile.create(join(dir.path, 'none/target'), {}, system)).toThrow(/ENOENT/);
    fs.mkdirSync(join(dir.path, 'target'));
    {
      using file = NewFile.create(join(dir.path, 'target'), {}, system);
      expect(() => file.commit()).toThrow(/EISDIR/);
    }
    {
      // Nobody can give a file to an id that there is not.
      using file = NewFile.create(join(dir.path, 'other'), { owner: { uid: -5, gid: 0 } }, system);
      expect(() => file.commit()).toThrow();
    }
    expect(fs.readdirSync(dir.path)).toEqual(['target']);
  });

  testAsRoot('belongs to whom it is to belong to', () => {
    using dir = new TempDir();
    const target = join(dir.path, 'target');
    using file = NewFile.create(target, { owner: { uid: 1234, gid: 4321 } }, system);
    file.write(Buffer.from('theirs'));
    file.commit();
    expect(fs.statSync(target)).toMatchObject({ uid: 1234, gid: 4321 });
    expect(fs.readFileSync(target, 'utf8')).toBe('theirs');
  });
});

test('a file without a name is nowhere until it is whole', () => {
  using dir = new TempDir();
  using file = NewFile.create(join(dir.path, 'target'));
  file.write(Buffer.from('half'));
  expect(fs.readdirSync(dir.path)).toEqual([]);
});

describe('what a killed process left', () => {
  test('stays while it lives, and goes with the next output of the directory', async () => {
    using dir = new TempDir();
    const writer = spawn(process.execPath, ['--no-warnings', WRITER, join(dir.path, 'out.tar')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(writer.stdout, 'data');
      const [left = ''] = fs.readdirSync(dir.path);
      expect(left).toMatch(/^\.tsbuild-[0-9a-f]{12}-[0-9a-f]{16}\.tmp$/);
      freeLeftovers(dir.path);
      expect(fs.readdirSync(dir.path)).toEqual([left]);
    } finally {
      writer.kill('SIGKILL');
      await once(writer, 'close');
    }
    expect(fs.readdirSync(dir.path)).toHaveLength(1);
    writeOutput(join(dir.path, 'result.json'), '{}');
    expect(fs.readdirSync(dir.path)).toEqual(['result.json']);
  });

  test('is told from everything else', async () => {
    using dir = new TempDir();
    const file = NewFile.create(join(dir.path, 'x'), {}, { openUnnamed: () => undefined });
    const [own = ''] = fs.readdirSync(dir.path);
    file[Symbol.dispose]();
    const boot = /^\.tsbuild-([0-9a-f]{12})-/.exec(own)?.[1] ?? '';
    const other = boot.replaceAll(/./g, (digit) => (digit === '0' ? '1' : '0'));
    const names = [
      `.tsbuild-${other}-0123456789abcdef.tmp`,
      '.tsbuild-0123456789abcdef.tmp',
      `.tsbuild-${boot}-0123456789abcde.tmp`,
      `.tsbuild-${boot}-0123456789abcdef.tmp.txt`,
      `x.tsbuild-${boot}-0123456789abcdef.tmp`,
      '.out.tar.0123456789ab.tmp',
    ];
    for (const name of names) dir.write(name);
    fs.mkdirSync(join(dir.path, `.tsbuild-${boot}-00000000000000d1.tmp`));
    dir.write('precious', 'kept');
    dir.link('precious', `.tsbuild-${boot}-00000000000000d2.tmp`);
    const before = fs.readdirSync(dir.path).sort();
    freeLeftovers(dir.path);
    expect(fs.readdirSync(dir.path).sort()).toEqual(before);

    dir.write(own);
    freeLeftovers(dir.path);
    expect(fs.readdirSync(dir.path).sort()).toEqual(before);
  });

  testAsRoot('of somebody else is theirs', () => {
    using dir = new TempDir();
    const file = NewFile.create(join(dir.path, 'x'), {}, { openUnnamed: () => undefined });
    const [own = ''] = fs.readdirSync(dir.path);
    file[Symbol.dispose]();
    dir.write(own);
    fs.chownSync(join(dir.path, own), 1234, 1234);
    freeLeftovers(dir.path);
    expect(fs.readdirSync(dir.path)).toEqual([own]);
  });

  test('may lie where nobody can look', () => {
    freeLeftovers('/none/such/directory');
  });
});

/** The rooms that write files where the user says. Others write within the store. */
const WRITERS = 'api,cli,engine,explain,exporter,inspect,pins,progress,registry,report,rootfs,transfer';

/** Files of those that make files beside NewFile, and why none of the user's is ever half there. */
const ownWays: Readonly<Record<string, string>> = {
  'cli/commands/run-kept.ts': 'the file of an id, which must not be there before',
  'engine/building/verify.ts': 'in a store for the one command',
  'engine/compile/compile-frontend.ts': 'in the store',
  'engine/compile/compile.ts': 'in the store',
  'rootfs/tar.ts': 'in the store',
};

test('nothing else writes to files of the user', () => {
  const root = fileURLToPath(new URL('../../src/', import.meta.url));
  const makes =
    /(?<![#.\w])(?:fs\.)?(?:rename(?:Sync)?|writeFile(?:Sync)?|createWriteStream|copyFile(?:Sync)?)\(|\bopen(?:Sync)?\([^)]*(?:'[wax]|O_CREAT)/;
  const found = fs
    .globSync(`{${WRITERS}}/**/*.ts`, { cwd: root })
    .filter((path) => !path.startsWith('report/page/'))
    .filter((path) => makes.test(fs.readFileSync(join(root, path), 'utf8').replaceAll(/^ *(?:\/\/|\*|\/\*).*$/gm, '')));
  expect(found.sort()).toEqual(Object.keys(ownWays));
});

describe('an output that the user named', () => {
  test('keeps the permissions of the file that it replaces, and links to it', () => {
    using dir = new TempDir();
    const real = dir.write('real', 'old');
    fs.chmodSync(real, 0o640);
    dir.link('real', 'link');
    writeOutput(join(dir.path, 'link'), 'new');
    expect(fs.readlinkSync(join(dir.path, 'link'))).toBe('real');
    expect(fs.readFileSync(real, 'utf8')).toBe('new');
    expect(modeOf(real)).toBe(0o640);
  });

  test('goes into what is no regular file, which stays', () => {
    using dir = new TempDir();
    const pipe = join(dir.path, 'pipe');
    run('mkfifo', pipe);
    const reader = fs.openSync(pipe, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
    try {
      writeOutput(pipe, 'through the pipe');
      expect(fs.readFileSync(reader, 'utf8')).toBe('through the pipe');
    } finally {
      fs.closeSync(reader);
    }
    expect(fs.statSync(pipe).isFIFO()).toBe(true);
    expect(() => writeOutput('/dev/full', 'too much')).toThrow(/ENOSPC/);
  });

  test('is not a directory', () => {
    using dir = new TempDir();
    expect(() => writeOutput(dir.path, 'text')).toThrow(/EISDIR/);
  });

  test('is on the disk piece by piece while it is written', () => {
    using dir = new TempDir();
    const path = join(dir.path, 'large');
    const chunk = Buffer.alloc(1 << 20, 'x');
    {
      using file = openOutput(path);
      for (let written = 0; written < 9; written++) file.write(chunk);
      expect(fs.readdirSync(dir.path)).toEqual([]);
      file.commit();
    }
    expect(fs.statSync(path).size).toBe(9 << 20);
  });
});
