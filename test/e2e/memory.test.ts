import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { peakMemory } from '../support/peak-memory.ts';

const FILES = 40_000;
const MIB = 1 << 20;

/** The largest process, in kB: one that does nothing takes some 70 MB. Bounds are above what was measured, as that varies. */
describeAsEveryone('memory', (who) => {
  const use = useBench(who);

  // 124 to 136 MB, where it was 200 to 205.
  test('a copy of many files takes 160 MB at most (REL-23)', async () => {
    const { bench } = use;
    const name = (at: number): string => `d/${Math.floor(at / 100)}/f${at}`;
    const files = Object.fromEntries(Array.from({ length: FILES }, (_, at) => [name(at), `${at}`]));
    const context = bench.context('FROM scratch\nCOPY d /d\n', files);
    const output = `type=oci,dest=${bench.path('many.tar')}`;
    expect(await peakMemory(bench.tsbuildStart(['build', '-q', '-o', output, context]))).toBeLessThan(160_000);
  });

  // 120 to 132 MB, where it was 133 to 180, the more the slower files were written.
  test('a large base is unpacked in 150 MB at most (REL-23)', async () => {
    const { bench } = use;
    const text = Buffer.concat(Array.from({ length: 96 }, () => Buffer.alloc(MIB, randomBytes(16 << 10))));
    const base = bench.context('FROM base:1\nCOPY blob /\n', { blob: text });
    const layout = bench.path('layout');
    await bench.ok(['build', '-q', '-o', `type=oci,tar=false,dest=${layout}`, base]);
    await bench.ok(['prune', '--all', '--force']);
    const context = bench.context('FROM base\nRUN true\n');
    const build = ['build', '-q', '--build-context', `base=oci-layout://${layout}`, '-t', 'pulled', context];
    expect(await peakMemory(bench.tsbuildStart(build))).toBeLessThan(150_000);
  });
});
