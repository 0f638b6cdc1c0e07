import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { baseMembers } from '../support/base-image.ts';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { imageArchive, type TarMember } from '../support/image.ts';
import { expectSound } from '../support/sound.ts';
import { readOciArchive } from '../support/tree.ts';

/** An image whose topmost layer replaces everything below it, as `umoci insert --opaque /` and flattening tools write it. */
const layers: readonly (readonly TarMember[])[] = [
  [
    { name: 'secret', content: 'gone\n' },
    { name: 'etc/', type: '5' },
    { name: 'etc/secret', content: 'gone\n' },
  ],
  [{ name: '.wh..wh..opq' }, ...baseMembers(), { name: 'etc/kept', content: 'kept\n' }],
];

describeAsEveryone('an image with a layer that hides everything below it', (who) => {
  const use = useBench(who, { base: false });

  test('hides it from steps, mounts, copies and containers alike, and in what is built on it', async () => {
    const { bench } = use;
    writeFileSync(bench.path('opaque.tar'), imageArchive(layers, 'opaque:1'));
    await bench.ok(['import', 'opaque.tar', '-t', 'opaque:1']);
    const context = bench.context(`FROM opaque:1
RUN find / -xdev -name secret > /found && cat /etc/kept >> /found
RUN --mount=type=bind,from=opaque:1,target=/mnt find /mnt -name secret -o -name kept > /mounted
RUN --network=none touch /etc/kept
`);
    const built = await readOciArchive((await bench.ok(['build', '-q', '-o', 'type=oci,dest=-', context])).stdout);
    expect(built.tree['/found']?.content).toBe('kept\n');
    expect(built.tree['/mounted']?.content).toBe('/mnt/etc/kept\n');
    expect(Object.keys(built.tree).filter((path) => path.endsWith('secret'))).toEqual([]);
    expect(built.layers[1]?.[0]).toBe('.wh..wh..opq');
    const copied = await bench.ok([
      'build',
      '-q',
      '-o',
      'type=oci,dest=-',
      bench.context('FROM scratch\nCOPY --from=opaque:1 /etc /etc\n'),
    ]);
    expect(Object.keys((await readOciArchive(copied.stdout)).tree)).not.toContain('/etc/secret');
    const run = await bench.ok(['run', '--rm', 'opaque:1', 'find', '/', '-xdev', '-name', 'secret']);
    expect(run.out).toBe('');
    await expectSound(bench);
  });
});
