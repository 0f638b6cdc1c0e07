import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Bench, RunOptions } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { hasGit } from '../support/git-server.ts';
import { stepsOf } from '../support/steps.ts';
import { readOciArchive, readTar } from '../support/tree.ts';

const DOCKERFILE = `FROM base:1 AS build
WORKDIR /src
COPY . .
RUN sh -c 'cat src/* > /made && date > /dev/null'
FROM base:1
COPY --from=build /made /made
COPY src /src
RUN touch /now && mkdir /dir
`;
/** Of the commit. */
const EPOCH = 1_650_000_000;

/** One digest of everything that is built below, whoever builds it. */
const digests = new Set<string>();

/** A fresh clone, as somebody with this umask makes it. */
function clone(bench: Bench, name: string, umask: string): string {
  const origin = bench.path('origin');
  const run = (script: string, cwd: string): void => {
    const [program, ...args] = [...bench.who.prefix, 'sh', '-c', script];
    execFileSync(program ?? 'sh', args, {
      cwd,
      stdio: 'ignore',
      env: {
        PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin',
        HOME: bench.dir,
        GIT_AUTHOR_NAME: 'n',
        GIT_AUTHOR_EMAIL: 'e',
        GIT_COMMITTER_NAME: 'n',
        GIT_COMMITTER_EMAIL: 'e',
        GIT_AUTHOR_DATE: `${EPOCH} +0000`,
        GIT_COMMITTER_DATE: `${EPOCH} +0000`,
      },
    });
  };
  if (!existsSync(origin)) {
    bench.write('origin', {
      Dockerfile: DOCKERFILE,
      '.dockerignore': '.git\n',
      'src/one': 'one\n',
      'src/two': 'two\n',
      'src/run': { text: '#!/bin/sh\n', mode: 0o755 },
      'src/link': { link: 'one' },
    });
    run('git init -q -b main . && git add -A . && git commit -q -m m', origin);
  }
  run(`umask ${umask} && git clone -q '${origin}' '${bench.path(name)}'`, bench.dir);
  return bench.path(name);
}

async function digestOf(bench: Bench, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { stdout } = await bench.ok(['build', '-q', '-o', 'type=oci,dest=-', ...args], options);
  return (await readOciArchive(stdout)).digest;
}

describe.skipIf(!hasGit)('--reproducible', () => {
  describeAsEveryone('one digest', (who) => {
    const use = useBench(who, { base: false });
    let count = 0;

    async function newStore(): Promise<string> {
      const store = use.bench.path(`store ü ${count++}`);
      await use.bench.importBase('base:1', { store });
      return store;
    }

    test('whatever the umask, the time of the files, zone, locale, place and jobs (REP-02, REP-05, REP-07)', async () => {
      const { bench } = use;
      for (const [umask, env, args] of [
        ['022', {}, []],
        ['077', { TZ: 'Asia/Kathmandu', LC_ALL: 'tr_TR.UTF-8' }, ['--jobs=1']],
        ['002', { TZ: 'America/St_Johns', HOSTNAME: 'elsewhere' }, ['--jobs=16']],
      ] as const) {
        const dir = clone(bench, `clone ${umask}`, umask);
        digests.add(await digestOf(bench, ['--reproducible', ...args, dir], { store: await newStore(), env }));
      }
      expect([...digests]).toHaveLength(1);
    });

    test('and clones of other people hit every step', async () => {
      const { bench } = use;
      const store = await newStore();
      const env = { TSBUILD_REPRODUCIBLE: '1' };
      digests.add(await digestOf(bench, [clone(bench, 'first', '077')], { store, env }));
      const second = clone(bench, 'second', '002');
      const again = await bench.ok(['build', '--progress=plain', '-o', 'type=oci,dest=-', second], { store, env });
      expect(stepsOf(again).ran).toEqual([]);
      expect(stepsOf(again).cached.length).toBeGreaterThan(5);
      expect((await readOciArchive(again.stdout)).digest).toBe([...digests][0]);
    });

    test('a store that knows layers of earlier commits, and a working copy that is older than its base image', async () => {
      const { bench } = use;
      const git = (dir: string, script: string, time: number): void => {
        const [program, ...args] = [...bench.who.prefix, 'sh', '-c', script];
        const names = {
          GIT_AUTHOR_NAME: 'n',
          GIT_AUTHOR_EMAIL: 'e',
          GIT_COMMITTER_NAME: 'n',
          GIT_COMMITTER_EMAIL: 'e',
        };
        const date = `${time} +0000`;
        const env = { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: bench.dir, ...names };
        execFileSync(program ?? 'sh', args, {
          cwd: dir,
          stdio: 'ignore',
          env: { ...env, GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date },
        });
      };
      const dir = bench.write('changing', {
        Dockerfile: `FROM base:1 AS made
RUN echo made > /made
FROM base:1
COPY same /same
COPY dir /dir
RUN echo x > /x && cp -p /same /kept
COPY --from=made /made /made
COPY other /other
`,
        same: 'same',
        other: 'one',
        'dir/file': 'file',
        'dir/link': { link: 'file' },
      });
      const now = Math.floor(Date.now() / 1000);
      git(dir, 'git init -q -b main . && git add -A . && git commit -q -m 1', now - 1000);
      const warm = await newStore();
      // The first commit, by somebody for whom times do not count.
      await bench.ok(['build', '-q', dir], { store: warm });
      await bench.ok(['build', '-q', '--reproducible', dir], { store: warm });
      writeFileSync(join(dir, 'other'), 'two');
      // Later than the layers that are known.
      git(dir, 'git commit -q -a -m 2', now + 1000);
      const found = new Set([await digestOf(bench, ['--reproducible', dir], { store: warm })]);
      found.add(await digestOf(bench, ['--reproducible', dir], { store: await newStore() }));
      git(dir, "git clone -q . '../again'", now);
      found.add(await digestOf(bench, ['--reproducible', bench.path('again')], { store: await newStore() }));
      git(bench.path('again'), 'find . -path ./.git -prune -o -exec touch -h -d 2001-02-03 {} +', now);
      found.add(await digestOf(bench, ['--reproducible', bench.path('again')], { store: await newStore() }));
      expect([...found]).toHaveLength(1);
    });

    test('times are those of the commit, permissions those of git', async () => {
      const { bench } = use;
      const dir = clone(bench, 'looked-at', '077');
      const store = await newStore();
      const { stdout } = await bench.ok(['build', '-q', '--reproducible', '-o', 'type=oci,dest=-', dir], { store });
      const { config, tree } = await readOciArchive(stdout);
      expect(config).toMatchObject({ created: new Date(EPOCH * 1000).toISOString().replace('.000', '') });
      expect(tree['/src/one']).toMatchObject({ mode: 0o644, uid: 0, gid: 0 });
      expect(tree['/src/run']).toMatchObject({ mode: 0o755 });
      expect(tree['/src']).toMatchObject({ mode: 0o755 });
      const tar = await bench.ok(['build', '-q', '--reproducible', '-o', 'type=tar,dest=-', dir], { store });
      const files = await readTar(tar.stdout);
      expect(files.length).toBeGreaterThan(5);
      for (const { header } of files) expect(header.mtime?.getTime() ?? 0).toBeLessThanOrEqual(EPOCH * 1000);
    });

    test('a remembered build is done again after the next commit, and when a file becomes one of git', async () => {
      const { bench } = use;
      const dir = clone(bench, 'remembered', '077');
      const store = await newStore();
      const build = (): Promise<string> => digestOf(bench, ['--reproducible', dir], { store });
      const first = await build();
      expect(await build()).toBe(first);
      bench.write('remembered', { 'src/three': { text: 'three\n', mode: 0o600 } });
      const untracked = await build();
      expect(await build()).toBe(untracked);
      await bench.tool(['git', '-C', dir, 'add', 'src/three']);
      const tracked = await build();
      expect(tracked, 'permissions').not.toBe(untracked);
      expect(await build()).toBe(tracked);
    });

    test('without a repository the time is that of the base image, and permissions are the files own', async () => {
      const { bench } = use;
      const context = bench.context('FROM base:1\nCOPY file /\nRUN touch /now\n', {
        file: { text: 'x', mode: 0o640 },
      });
      const { stdout } = await bench.ok(['build', '-q', '--reproducible', '-o', 'type=oci,dest=-', context], {
        store: await newStore(),
      });
      const { config, tree } = await readOciArchive(stdout);
      expect(config).toMatchObject({ created: '2020-09-13T12:26:40Z' });
      expect(tree['/file']?.mode).toBe(0o640);
      const nothing = bench.context('FROM scratch\nCOPY file /\n', { file: 'x' });
      const scratch = await bench.ok(['build', '-q', '--reproducible', '-o', 'type=oci,dest=-', nothing]);
      expect((await readOciArchive(scratch.stdout)).config).toMatchObject({ created: '1970-01-01T00:00:00Z' });
    });

    test('a given time comes first, and what compressed the layers is written down', async () => {
      const { bench } = use;
      const dir = clone(bench, 'given', '022');
      const store = await newStore();
      const metadata = bench.path('metadata.json');
      const { stdout } = await bench.ok(
        [
          'build',
          '-q',
          '--reproducible',
          '--source-date-epoch=1600000001',
          '--metadata-file',
          metadata,
          '-o',
          'type=oci,dest=-',
          dir,
        ],
        { store },
      );
      expect((await readOciArchive(stdout)).config).toMatchObject({ created: '2020-09-13T12:26:41Z' });
      expect(JSON.parse(readFileSync(metadata, 'utf8'))).toMatchObject({
        'tsbuild.compressor': expect.stringMatching(/^gzip level \d, zlib \d/) as string,
      });
    });

    test('bad values and what git cannot tell are said', async () => {
      const { bench } = use;
      const empty = bench.context('FROM scratch\nCOPY Dockerfile /\n');
      await bench.tool(['git', 'init', '-q', empty]);
      expect(await bench.tsbuild(['build', '--reproducible', empty])).toMatchObject({
        code: 1,
        err: expect.stringContaining('--source-date-epoch=SECONDS') as string,
      });
      expect(await bench.tsbuild(['build', '--context-perms=none', empty])).toMatchObject({ code: 2 });
      expect(await bench.tsbuild(['build', empty], { env: { TSBUILD_REPRODUCIBLE: 'maybe' } })).toMatchObject({
        code: 2,
        err: expect.stringContaining('TSBUILD_REPRODUCIBLE') as string,
      });
    });
  });
});
