import { existsSync, lstatSync, lchownSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Bench } from '../support/bench.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { readOciArchive } from '../support/tree.ts';

describeAsEveryone('what a build that did not end had made, and something changed since,', (who) => {
  const use = useBench(who);

  /** A build whose first step is made in any case, and whose last reads what the first wrote. */
  const context = (name: string, last: string): string =>
    use.bench.context(
      `FROM base:1\nRUN mkdir /${name} && echo good > /${name}/file && echo made ${name}\nRUN cat /${name}/file > /copy; ${last}\n`,
    );

  const expectRight = async (name: string): Promise<void> => {
    const { bench } = use;
    await bench.ok(['build', '-o', 'type=oci,dest=out.tar', context(name, 'true')]);
    const { tree } = await readOciArchive(bench.path('out.tar'));
    expect(tree[`/${name}/file`]).toMatchObject({ type: 'file', content: 'good\n' });
    expect(tree['/copy']?.content).toBe('good\n');
    expect(await bench.damage()).toEqual([]);
  };

  test('is made again: the build had failed', async () => {
    const { bench } = use;
    const failed = await bench.tsbuild(['build', context('failed', 'false')]);
    expect(failed.code).toBe(1);
    replaceByLink(bench, 'failed');
    await expectRight('failed');
  });

  test('is made again: the build was killed', async () => {
    const { bench } = use;
    const running = bench.tsbuildStart(['build', '--progress=plain', context('killed', 'echo on; sleep 30')]);
    await running.prints(/ on$/m);
    running.child.kill('SIGKILL');
    await running.ended;
    expect(await bench.leftovers()).toEqual([]);
    replaceByLink(bench, 'killed');
    await expectRight('killed');
  });

  test('is made again: the store was checked in between', async () => {
    const { bench } = use;
    expect((await bench.tsbuild(['build', context('checked', 'false')])).code).toBe(1);
    replaceByLink(bench, 'checked');
    await bench.tsbuild(['store', 'check', '--repair']);
    await expectRight('checked');
  });

  test('is made again for a build: an image that a container was started from', async () => {
    const { bench } = use;
    await bench.ok(['run', 'base:1', 'true']);
    replaceByLink(bench, 'etc', 'passwd');
    // Other containers do not look at files; what is built on them must.
    const folder = bench.context('FROM base:1\nRUN cat /etc/passwd > /copy\n');
    await bench.ok(['build', '-o', 'type=oci,dest=out.tar', folder]);
    const { tree } = await readOciArchive(bench.path('out.tar'));
    expect(tree['/copy']?.content).toContain('alice');
  });
});

/** A file of a layer's directory becomes a link, and whoever owns it stays its owner. */
function replaceByLink(bench: Bench, directory: string, file = 'file'): void {
  const snapshots = join(bench.store, 'snapshots');
  const path = readdirSync(snapshots)
    .map((id) => join(snapshots, id, 'fs', directory, file))
    .find((one) => existsSync(one));
  if (path === undefined) throw new Error(`No layer has ${directory}/${file}`);
  const { uid, gid } = lstatSync(path);
  rmSync(path);
  symlinkSync('/etc/hostname', path);
  lchownSync(path, uid, gid);
}
