import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { describeAsRoot, describeAsUser, useBench } from '../support/e2e.ts';
import { expectFailure, expectSound } from '../support/sound.ts';

describeAsUser('--userns=keep-id', (who) => {
  const use = useBench(who);
  const { uid, gid } = who;

  test('the user has his own id, and what he makes in a directory of his belongs to him', async () => {
    const { bench } = use;
    const dir = bench.write('shared', { mine: 'x' });
    const script = 'id -u; id -g; stat -c %u:%g /shared/mine; echo made > /shared/made; echo more >> /shared/mine';
    const run = ['run', '--rm', '--userns=keep-id', '-v', `${dir}:/shared`];
    const { out } = await bench.ok([...run, 'base:1', 'sh', '-c', script]);
    expect(out).toBe(`${uid}\n${gid}\n${uid}:${gid}\n`);
    expect(statSync(join(dir, 'made'))).toMatchObject({ uid, gid });
    expect(readFileSync(join(dir, 'mine'), 'utf8')).toBe('xmore\n');
    // The same by hand, and another user has what his id says.
    await bench.ok([...run, '-u', `${uid}:${gid}`, 'base:1', 'touch', '/shared/by-hand']);
    expect(statSync(join(dir, 'by-hand'))).toMatchObject({ uid, gid });
    const denied = await bench.tsbuild([...run, '-u', '12345', 'base:1', 'touch', '/shared/not']);
    expect(denied).toMatchObject({ code: 1, err: expect.stringContaining('Permission denied') });
    // Without it, that id is a sub-id, which may not.
    expect(
      await bench.tsbuild(['run', '--rm', '-u', String(uid), '-v', `${dir}:/shared`, 'base:1', 'touch', '/shared/not']),
    ).toMatchObject({ code: 1 });
    await expectSound(bench);
  });

  test('one in the background: exec, root of it, files in and out, commit', async () => {
    const { bench } = use;
    const dir = bench.write('other', { file: 'from here\n' });
    await bench.ok([
      'run',
      '-d',
      '--name',
      'kept',
      '--userns',
      'keep-id',
      '-v',
      `${dir}:/shared`,
      'base:1',
      'sleep',
      '300',
    ]);
    expect((await bench.ok(['exec', 'kept', 'id', '-u'])).out).toBe(`${uid}\n`);
    expect(
      (await bench.ok(['exec', '-u', 'root', 'kept', 'sh', '-c', 'id -u; mkdir /root/x; stat -c %u /root/x'])).out,
    ).toBe('0\n0\n');
    await bench.ok(['exec', 'kept', 'sh', '-c', 'echo out > /tmp/own']);
    await bench.ok(['cp', 'kept:/tmp/own', join(dir, 'copied')]);
    expect(statSync(join(dir, 'copied'))).toMatchObject({ uid, gid });
    await bench.ok(['cp', join(dir, 'file'), 'kept:/tmp/in']);
    expect((await bench.ok(['exec', 'kept', 'stat', '-c', '%u', '/tmp/in'])).out).toBe('0\n');
    await bench.ok(['kill', 'kept']);
    await bench.ok(['start', 'kept']);
    expect((await bench.ok(['exec', 'kept', 'cat', '/tmp/own'])).out).toBe('out\n');
    await bench.ok(['rm', '-f', 'kept']);
    await expectSound(bench);
  });

  test('other modes are refused', async () => {
    for (const mode of ['auto', 'host', 'private', ''])
      expectFailure(await use.bench.tsbuild(['run', '--rm', `--userns=${mode}`, 'base:1', 'true']), {
        code: 125,
        says: ['--userns', 'keep-id'],
      });
  });
});

describeAsRoot('--userns=keep-id', (who) => {
  const use = useBench(who);

  test('root has no id of its own to keep', async () => {
    expectFailure(await use.bench.tsbuild(['run', '--rm', '--userns=keep-id', 'base:1', 'true']), {
      code: 125,
      says: ['as root'],
    });
  });
});
