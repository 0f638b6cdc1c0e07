import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { expectFailure, expectSound } from '../support/sound.ts';
import { tar } from '../support/image.ts';

describeAsEveryone('cp', (who) => {
  const use = useBench(who);

  beforeAll(async () => {
    const context = use.bench.context(`FROM base:1
RUN mkdir -p /srv/tree/sub && echo one > /srv/tree/a && ln /srv/tree/a /srv/tree/b && ln -s a /srv/tree/link && \\
    echo deep > /srv/tree/sub/deep && mkfifo /srv/tree/fifo && chown -R 1000:50 /srv/tree && chmod 4755 /srv/tree/a && \\
    ln -s /srv/tree /tree && mkdir /empty && ln -s ../../../../../.. /srv/up
CMD ["sh", "-c", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done"]
`);
    await use.bench.ok(['build', '-q', '-t', 'files', context]);
    await use.bench.ok(['run', '-d', '--name', 'runs', '-v', 'data:/data', '--tmpfs', '/mem', 'files']);
    await use.bench.ok(['create', '--name', 'made', '-v', 'data2:/data', 'files']);
    await use.bench.ok(['run', '-d', '--name', 'ended', '-v', 'data3:/data', 'files']);
    await use.bench.ok(['stop', 'ended']);
  });
  afterAll(async () => {
    await use.bench.ok(['rm', '-f', 'runs', 'made', 'ended']);
    await expectSound(use.bench);
  });

  const list = (archive: Uint8Array): string[] =>
    execFileSync('tar', ['tf', '-'], { input: archive, encoding: 'utf8' }).split('\n').filter(Boolean).toSorted();

  describe.each(['runs', 'ended'])('of a container that %s', (name) => {
    const local = (path: string): string => join(use.bench.dir, `local-${name}`, path);
    beforeAll(() => {
      use.bench.write(`local-${name}`, { 'in/file': 'from here\n', 'in/sub/other': 'x', dest: null, word: 'a word\n' });
    });

    test('a file and a directory come out, to names and into directories, as the user', async () => {
      const { bench } = use;
      await bench.ok(['cp', `${name}:/srv/tree/sub/deep`, local('deep')]);
      expect(readFileSync(local('deep'), 'utf8')).toBe('deep\n');
      await bench.ok(['cp', `${name}:srv/tree`, local('new')]);
      expect(readdirSync(local('new')).toSorted()).toEqual(['a', 'b', 'fifo', 'link', 'sub']);
      expect(lstatSync(local('new/link')).isSymbolicLink()).toBe(true);
      // Rights that a container's program has are none over this machine.
      expect(statSync(local('new/a'))).toMatchObject({ uid: who.uid, gid: who.gid, nlink: 2, mode: 0o100_755 });
      await bench.ok(['cp', `${name}:/srv/tree`, local('dest')]);
      expect(readdirSync(local('dest'))).toEqual(['tree']);
      await bench.ok(['cp', `${name}:/srv/tree/.`, local('dest')]);
      expect(readdirSync(local('dest')).toSorted()).toEqual(['a', 'b', 'fifo', 'link', 'sub', 'tree']);
      await bench.ok(['cp', '-L', `${name}:/srv/tree/link`, local('followed')]);
      expect(readFileSync(local('followed'), 'utf8')).toBe('one\n');
      await bench.ok(['cp', `${name}:/tree`, local('as-link')]);
      expect(lstatSync(local('as-link')).isSymbolicLink()).toBe(true);
      await bench.ok(['cp', `${name}:/tree/`, local('as-dir')]);
      expect(readFileSync(local('as-dir/sub/deep'), 'utf8')).toBe('deep\n');
    });

    test('a pipe or a device of the machine is not replaced by what comes', async () => {
      const { bench } = use;
      execFileSync('mkfifo', [local('pipe')]);
      symlinkSync('pipe', local('to-pipe'));
      const others = ['pipe', 'to-pipe'];
      // Never one that others use: a failure of this test would take it from them.
      if (who.uid === 0) {
        execFileSync('mknod', ['-m', '666', local('null'), 'c', '1', '3']);
        others.push('null');
      }
      for (const each of others)
        for (const source of ['/srv/tree/sub/deep', '/srv/tree'])
          expectFailure(await bench.tsbuild(['cp', `${name}:${source}`, local(each)]), {
            code: 2,
            says: ['what is there is neither a file nor a directory'],
          });
      expect(statSync(local('pipe')).isFIFO()).toBe(true);
      expect(lstatSync(local('to-pipe')).isSymbolicLink()).toBe(true);
      if (who.uid === 0) expect(statSync(local('null')).isCharacterDevice()).toBe(true);
    });

    test('files go in, also into what is mounted there, and are root’s', async () => {
      const { bench } = use;
      await bench.ok(['cp', local('word'), `${name}:/empty`]);
      await bench.ok(['cp', local('word'), `${name}:/empty/other`]);
      await bench.ok(['cp', 'in', `${name}:/data/`], { cwd: join(local(''), '') });
      await bench.ok(['cp', `${local('in')}/.`, `${name}:/data`]);
      await bench.ok(['cp', local('word'), `${name}:/tree/a`]);
      for (const [path, content] of [
        ['/empty/word', 'a word\n'],
        ['/data/in/file', 'from here\n'],
        ['/srv/tree/a', 'a word\n'],
        // It had two names; the other one's file stays as it was.
        ['/srv/tree/b', 'one\n'],
      ] as const) {
        const { stdout } = await bench.ok(['cp', `${name}:${path}`, '-']);
        const file = join(use.bench.dir, `check-${name}.tar`);
        writeFileSync(file, stdout);
        expect(execFileSync('tar', ['xOf', file], { encoding: 'utf8' }), path).toBe(content);
        if (path.startsWith('/data') || path.startsWith('/empty'))
          expect(execFileSync('tar', ['tvf', file], { encoding: 'utf8' }), path).toMatch(/^\S+ (?:root\/root|0\/0) /);
      }
      if (name === 'runs')
        expect((await bench.ok(['exec', name, 'cat', '/empty/word', '/data/in/file'])).out).toBe('a word\nfrom here\n');
    });

    test('archives: out with owners, in with those that they have', async () => {
      const { bench } = use;
      const { stdout } = await bench.ok(['cp', `${name}:/srv/tree`, '-']);
      expect(list(stdout)).toEqual([
        'tree/',
        'tree/a',
        'tree/b',
        'tree/fifo',
        'tree/link',
        'tree/sub/',
        'tree/sub/deep',
      ]);
      const long = execFileSync('tar', ['tvf', '-', '--numeric-owner'], { input: stdout, encoding: 'utf8' });
      expect(long).toMatch(/ 1000\/50 .* tree\/sub\/deep/);
      await bench.ok(['cp', '-', `${name}:/empty`], { stdin: stdout });
      const again = await bench.ok(['cp', `${name}:/empty/tree`, '-']);
      expect(execFileSync('tar', ['tvf', '-', '--numeric-owner'], { input: again.stdout, encoding: 'utf8' })).toBe(
        long,
      );
      await bench.ok(['cp', '-a', `${name}:/srv/tree/sub/deep`, local('kept')]);
      // As it is there for root; for others a sub-id.
      const { uid } = statSync(local('kept'));
      if (who.uid === 0) expect(uid).toBe(1000);
      else expect(uid).not.toBe(who.uid);
    });

    test('links of the container, and what archives say, lead nowhere else', async () => {
      const { bench } = use;
      const outside = local('outside');
      mkdirSync(outside, { recursive: true, mode: 0o777 });
      if (who.prefix.length > 0) execFileSync('chown', [`${who.uid}:${who.gid}`, outside]);
      const links = tar([
        { name: 'abs', type: '2', link: outside },
        { name: 'rel', type: '2', link: `../../../../../../../..${outside}` },
        { name: 'proc', type: '2', link: '/proc/self/root' },
      ]);
      await bench.ok(['cp', '-', `${name}:/empty`], { stdin: links });
      for (const link of ['abs', 'rel'])
        expectFailure(await bench.tsbuild(['cp', local('word'), `${name}:/empty/${link}/planted`]), {
          code: 2,
          says: ['not there'],
        });
      // Up from the root is the root.
      await bench.ok(['cp', local('word'), `${name}:/srv/up/planted-${name}`]);
      await bench.ok(['cp', `${name}:/planted-${name}`, local('planted')]);
      expect(existsSync(`/planted-${name}`)).toBe(false);
      expectFailure(await bench.tsbuild(['cp', `${name}:/srv/up${bench.dir}/local-${name}/word`, '-']), {
        code: 1,
        says: ['no such file in the container'],
      });
      const hostile = tar([
        { name: '../../../escaped', content: 'x' },
        { name: 'l', type: '2', link: outside },
        { name: 'l/through', content: 'x' },
      ]);
      await bench.tsbuild(['cp', '-', `${name}:/empty`], { stdin: hostile });
      expect(readdirSync(outside)).toEqual([]);
      // The same from a container to this machine: names in it are names in the destination.
      await bench.ok(['cp', `${name}:/empty/.`, local('dest')]);
      expect(readdirSync(outside)).toEqual([]);
      // A link where a directory is to be is not followed.
      symlinkSync(outside, local('dest2'));
      await bench.ok(['cp', `${name}:/srv/tree/sub`, local('dest2')]);
      expect(readdirSync(outside)).toEqual(['sub']);
    });
  });

  test('one that was killed is in nobody’s way', async () => {
    const { bench } = use;
    // It waits for an archive that never comes.
    const waits = bench.tsbuildStart(['cp', '-', 'made:/empty'], { stdio: ['pipe', 'pipe', 'pipe'], timeoutMs: 3000 });
    expect((await waits.ended).code).toBe(137);
    await bench.ok(['cp', 'made:/etc/passwd', './passwd']);
  });

  test('what cannot be done says why', async () => {
    const { bench } = use;
    const here = bench.write('here', { file: 'x', dir: null });
    const file = join(here, 'file');
    for (const [args, code, says] of [
      [['nobody:/etc', '.'], 1, 'No such container: nobody'],
      [['made:/nothing', '.'], 1, 'no such file in the container'],
      [['made:/etc/passwd/', '.'], 2, 'not a directory'],
      [['made:/etc/passwd', './no/such'], 2, 'directory is not there'],
      [['made:/etc/passwd', './new/'], 2, 'no such directory'],
      [['made:/etc', file], 2, 'a file is there'],
      [[file, 'made:/no/such'], 2, 'directory is not there'],
      [[file, 'made:/etc/passwd/x'], 2, 'not a directory'],
      [[`${here}/dir`, 'made:/etc/passwd'], 2, 'a file is there'],
      [['./absent', 'made:/'], 1, 'no such file'],
      [['./a', './b'], 2, 'neither'],
      [['made:/a', 'ended:/b'], 2, 'container to container'],
      [['made:', '.'], 2, 'missing'],
      [['-', 'made:/etc/passwd'], 2, 'no directory'],
    ] as const)
      expectFailure(await bench.tsbuild(['cp', ...args], { stdin: '' }), { code, says: [says] });
    // A directory is never replaced by a file, nor the other way round.
    await bench.ok(['cp', `${here}/.`, 'made:/empty']);
    for (const members of [[{ name: 'dir', content: 'x' }], [{ name: 'file', type: '5' as const }]])
      expectFailure(await bench.tsbuild(['cp', '-', 'made:/empty'], { stdin: tar(members) }), {
        code: 1,
        says: ['of that name'],
      });
    expectFailure(await bench.tsbuild(['cp', '-', 'made:/empty'], { stdin: 'not an archive at all'.repeat(100) }), {
      says: ['Cannot'],
    });
    // It is as it was, and starts.
    await bench.ok(['start', 'made']);
    await bench.ok(['stop', 'made']);
  });
});
