import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { expectFailure, expectSound } from '../support/sound.ts';

const SCRIPT = `mkdir -p /srv/new/deep && echo x > /srv/new/deep/file && echo y >> /srv/changed && rm /srv/gone &&
  rm -r /srv/replaced && mkdir /srv/replaced && echo z > /srv/replaced/other && chmod 700 /srv/mode && cat /srv/same &&
  chown 1000:50 /srv/new/deep/file && touch -d @1700000000 /srv/new/deep/file && echo in the volume > /data/file`;

const CHANGES = [
  'C /srv',
  'C /srv/changed',
  'D /srv/gone',
  'C /srv/mode',
  'A /srv/new',
  'A /srv/new/deep',
  'A /srv/new/deep/file',
  'C /srv/replaced',
  'D /srv/replaced/one',
  'A /srv/replaced/other',
];

describeAsEveryone('what a container has written', (who) => {
  const use = useBench(who);

  beforeAll(async () => {
    const context = use.bench.context(`FROM base:1
RUN mkdir -p /srv/replaced /srv/mode && for f in changed gone same replaced/one; do echo $f > /srv/$f; done
ENV OWN=image
ONBUILD RUN false
ENTRYPOINT ["sh", "-c"]
`);
    await use.bench.ok(['build', '-q', '-t', 'before', context]);
    const body = `${SCRIPT}; echo done; trap 'exit 0' TERM; while :; do sleep 0.05; done`;
    const options = [
      '-d',
      '--name',
      'writer',
      '-v',
      'data:/data',
      '-e',
      'MORE=1',
      '--label',
      'tier=front',
      '-w',
      '/srv',
    ];
    await use.bench.ok(['run', ...options, 'before', body]);
    const logs = use.bench.tsbuildStart(['logs', '-f', 'writer']);
    await logs.prints(/done/);
    logs.child.kill('SIGTERM');
    await logs.ended;
  });
  afterAll(async () => {
    await use.bench.ok(['rm', '-f', 'writer']);
    await expectSound(use.bench);
  });

  test('diff lists it, without what was made for mounts, while it runs', async () => {
    const { bench } = use;
    expect((await bench.ok(['diff', 'writer'])).out.split('\n').filter(Boolean)).toEqual(CHANGES);
    expect(JSON.parse((await bench.ok(['container', 'diff', '--format', 'json', 'writer'])).out)).toMatchObject({
      deleted: ['/srv/gone', '/srv/replaced/one'],
    });
    expectFailure(await bench.tsbuild(['diff', 'nobody']), { says: ['No such container: nobody'] });
  });

  test('commit makes an image of it, which runs as the container did', async () => {
    const { bench } = use;
    const env = { SOURCE_DATE_EPOCH: '1700000000' };
    const commit = [
      'commit',
      '-m',
      'a message',
      '-a',
      'me',
      '-c',
      'ENV LATER="a b"',
      '--change',
      'CMD ["cat changed"]',
    ];
    const { out } = await bench.ok([...commit, 'writer', 'after:1'], { env });
    expect(out).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    // What runs in it goes on.
    expect((await bench.ok(['ps', '--format', '{{.Names}} {{.State}}'])).out).toBe('writer running\n');
    // The same files and words make the same image.
    expect((await bench.ok([...commit, 'writer', 'after:2'], { env })).out).toBe(out);
    const [image] = JSON.parse((await bench.ok(['inspect', '--type', 'image', 'after:1'])).out) as [
      { Config: Record<string, unknown>; Author: string },
    ];
    expect(image.Config).toMatchObject({
      Entrypoint: ['sh', '-c'],
      Cmd: ['cat changed'],
      WorkingDir: '/srv',
      Labels: { tier: 'front' },
      OnBuild: ['RUN false'],
      Env: expect.arrayContaining(['OWN=image', 'MORE=1', 'LATER=a b']),
    });
    expect(JSON.stringify(image.Config)).not.toContain('HOSTNAME=');
    expect((await bench.ok(['history', 'after:1', '--format', '{{.Comment}}'])).out.split('\n')[0]).toBe('a message');
    expect((await bench.ok(['run', '--rm', 'after:1'])).out).toBe('changed\ny\n');
    const look =
      'ls -A /srv /srv/replaced; stat -c "%u:%g %a" new/deep/file /srv/mode; echo $LATER; cat /etc/resolv.conf | wc -c';
    const { out: seen } = await bench.ok(['run', '--rm', '--network', 'none', 'after:1', look]);
    expect(seen).toBe(
      '/srv:\nchanged\nmode\nnew\nreplaced\nsame\n\n/srv/replaced:\nother\n1000:50 644\n0:0 700\na b\n0\n',
    );
    // The layer has what changed and nothing else.
    const archive = join(bench.dir, 'after.tar');
    await bench.ok(['save', '-o', archive, 'after:1']);
    const manifest = JSON.parse((await bench.ok(['inspect', '--raw', 'after:1'])).out) as {
      layers: { digest: string }[];
    };
    const layer = `blobs/sha256/${manifest.layers.at(-1)?.digest.slice(7)}`;
    const blob = execFileSync('tar', ['xOf', archive, layer], { maxBuffer: 1 << 26 });
    expect(execFileSync('tar', ['tzf', '-'], { input: blob, encoding: 'utf8' }).split('\n').filter(Boolean)).toEqual([
      'srv/',
      'srv/.wh.gone',
      'srv/changed',
      'srv/mode/',
      'srv/new/',
      'srv/new/deep/',
      'srv/new/deep/file',
      'srv/replaced/',
      'srv/replaced/.wh..wh..opq',
      'srv/replaced/other',
    ]);
    await bench.tool(['skopeo', 'inspect', '--config', `oci-archive:${archive}`]);
  });

  test('commit says what it cannot do, and leaves nothing', async () => {
    const { bench } = use;
    for (const [args, code, says] of [
      [['-c', 'RUN true', 'writer', 'x'], 2, 'CMD, ENTRYPOINT'],
      [['-c', 'ENV', 'writer', 'x'], 2, 'ENV'],
      [['-c', 'EXPOSE abc', 'writer', 'x'], 2, 'abc'],
      [['writer', 'UPPER'], 2, 'UPPER'],
      [['nobody', 'x'], 1, 'No such container'],
    ] as const)
      expectFailure(await bench.tsbuild(['commit', ...args]), { code, says: [says] });
    expect((await bench.ok(['images', '-q', 'x'])).out).toBe('');
  });

  test('export gives all of its files, and a file is replaced as a whole', async () => {
    const { bench } = use;
    const { stdout } = await bench.ok(['export', 'writer']);
    const names = execFileSync('tar', ['tf', '-'], { input: stdout, encoding: 'utf8' }).split('\n');
    expect(names).toEqual(expect.arrayContaining(['bin/busybox', 'srv/new/deep/file', 'srv/replaced/other']));
    for (const absent of ['srv/gone', 'srv/replaced/one', 'data/file']) expect(names).not.toContain(absent);
    const file = join(bench.dir, 'whole.tar');
    await bench.ok(['export', '-o', file, 'writer']);
    expect(Buffer.compare(readFileSync(file), stdout)).toBe(0);
    expectFailure(await bench.tsbuild(['export', '-o', file, 'nobody']), { says: ['No such container'] });
    expectFailure(await bench.tsbuild(['export', '-o', '/no/such/file', 'writer']), { says: ['/no/such/file'] });
    expect(Buffer.compare(readFileSync(file), stdout)).toBe(0);
    await bench.ok(['import', file, '-t', 'imported:1']);
    expect((await bench.ok(['run', '--rm', 'imported:1', 'cat', '/srv/changed'])).out).toBe('changed\ny\n');
  });
});
