import { writeFileSync } from 'node:fs';
import { hashSync } from 'bcryptjs';
import { expect, test } from 'vitest';
import type { Bench, Running } from '../support/bench.ts';
import { describeAsUser, useBench } from '../support/e2e.ts';
import { readOciArchive } from '../support/tree.ts';
import { skopeo } from '../support/tools.ts';

/** A server that listens, with its address. */
async function serve(bench: Bench, ...args: readonly string[]): Promise<{ running: Running; host: string }> {
  const running = bench.tsbuildStart(['serve', '--addr=127.0.0.1:0', ...args]);
  await running.prints(/serving \S+ on https?:\/\/\S+/);
  return { running, host: /on https?:\/\/([^\s,]+)/.exec(running.text())?.[1] ?? '' };
}

describeAsUser('serve', (who) => {
  const use = useBench(who);

  test('skopeo reads and writes images of the store, and builds of another store stand on them', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nCOPY file /file\n', { file: 'served' });
    const built = await bench.ok(['build', '-q', '-t', 'web:1', '-o', 'type=oci,dest=-', context]);
    const { digest } = await readOciArchive(built.stdout);
    const { running, host } = await serve(bench);
    const insecure = '--tls-verify=false';
    expect(JSON.parse(skopeo('inspect', insecure, `docker://${host}/web:1`))).toMatchObject({ Digest: digest });
    const layout = bench.path('layout');
    skopeo('copy', '-q', '--src-tls-verify=false', `docker://${host}/web:1`, `oci:${layout}:x`);
    skopeo('copy', '-q', '--dest-tls-verify=false', `oci:${layout}:x`, `docker://${host}/copied/app:2`);
    expect((await bench.ok(['images'])).out).toContain('copied/app:2');

    const other = { store: bench.path('other') };
    const onto = bench.context(`FROM ${host}/copied/app:2\nRUN cat /file > /read\n`);
    const again = await bench.ok(['build', '-q', '-o', 'type=oci,dest=-', onto], other);
    expect((await readOciArchive(again.stdout)).tree['/read']?.content).toBe('served');
    await bench.ok(['build', '-q', '--push', '-t', `${host}/pushed:3`, onto], other);
    expect(JSON.parse(skopeo('inspect', insecure, `docker://${host}/pushed:3`))).toMatchObject({ RepoTags: ['3'] });
    skopeo('delete', insecure, `docker://${host}/pushed:3`);

    running.child.kill('SIGTERM');
    expect((await running.ended).code).toBe(0);
    expect(await bench.damage()).toEqual([]);
    expect((await bench.ok(['images'])).out).not.toContain('pushed');
  });

  test('passwords, a read-only one, and options that cannot be', async () => {
    const { bench } = use;
    const file = bench.path('htpasswd');
    writeFileSync(file, `ada:${hashSync('secret', 4)}\n`);
    const guarded = await serve(bench, '--htpasswd', file);
    const context = bench.context('FROM scratch\nCOPY Dockerfile /\n');
    await bench.ok(['build', '-q', '-t', 'guarded:1', context]);
    const ref = `docker://${guarded.host}/guarded:1`;
    expect(() => skopeo('inspect', '--tls-verify=false', ref)).toThrow(/authentication|unauthorized/i);
    expect(skopeo('inspect', '--tls-verify=false', '--creds=ada:secret', ref)).toContain('"Digest"');
    guarded.running.child.kill('SIGINT');
    await guarded.running.ended;
    expect(guarded.running.text(), 'nothing secret is listed').not.toMatch(/secret|YWRhOnNlY3JldA/);

    const reading = await serve(bench, '--read-only', '-q');
    const denied = await bench.tsbuild(['build', '-q', '--push', '-t', `${reading.host}/x:1`, context]);
    expect(denied).toMatchObject({ code: 1, err: expect.stringContaining('read-only') as string });
    const twice = await bench.tsbuild(['serve', `--addr=${reading.host}`]);
    expect(twice).toMatchObject({ code: 1, err: expect.stringContaining('something listens there already') as string });
    reading.running.child.kill('SIGINT');
    await reading.running.ended;

    for (const [args, code, message] of [
      [['--addr=nonsense'], 2, 'expected HOST:PORT'],
      [['--addr=127.0.0.1:99999'], 2, 'expected HOST:PORT'],
      [['--tls-cert=x'], 2, '--tls-key'],
      [['--htpasswd=/nonexistent'], 1, '/nonexistent'],
    ] as const)
      expect(await bench.tsbuild(['serve', ...args])).toMatchObject({
        code,
        err: expect.stringContaining(message) as string,
      });
  });

  test('an address that others can reach is read-only without passwords', async () => {
    const { bench } = use;
    const running = bench.tsbuildStart(['serve', '--addr=0.0.0.0:0']);
    await running.prints(/read-only/);
    await running.prints(/--anonymous-write/);
    const port = /:(\d+), read-only/.exec(running.text())?.[1] ?? '';
    const answer = await fetch(`http://127.0.0.1:${port}/v2/x/blobs/uploads/`, { method: 'POST' });
    expect(answer.status).toBe(403);
    running.child.kill('SIGTERM');
    expect((await running.ended).code).toBe(0);
  });

  test('images are pruned beside it, but what is being pushed is not', async () => {
    const { bench } = use;
    const { running, host } = await serve(bench, '-q');
    const blob = 'waits for its manifest';
    const digest = 'sha256:9c1b4fd2ae1b8ee6f3bb8e0c4a2b4b2ba7e4b9e8f3c5b6d1d3a3d1b1f7e5c3aa';
    const begun = await fetch(`http://${host}/v2/held/blobs/uploads/`, { method: 'POST' });
    const location = begun.headers.get('location') ?? '';
    const { createHash } = await import('node:crypto');
    const right = `sha256:${createHash('sha256').update(blob).digest('hex')}`;
    const put = (as: string): Promise<Response> =>
      fetch(`http://${host}${location}?digest=${as}`, { method: 'PUT', body: blob });
    expect((await put(right)).status).toBe(201);
    expect((await put(digest)).status, 'the upload is over').toBe(404);
    await bench.ok(['prune', '--all', '--images']);
    expect(await (await fetch(`http://${host}/v2/held/blobs/${right}`)).text()).toBe(blob);
    running.child.kill('SIGTERM');
    await running.ended;
  });
});
