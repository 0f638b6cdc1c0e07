import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { baseMembers } from '../support/base-image.ts';
import { useBench } from '../support/e2e.ts';
import { ordinaryUser } from '../support/identity.ts';
import { tar, type TarMember, testImage } from '../support/image.ts';

const who = await ordinaryUser();

/** How many files in each of four layers, of this many bytes, and how often they are unpacked. */
const [FILES, BYTES, REPEATS] = [60, 100_000, 3] as const;

describe('layers that are unpacked side by side', () => {
  const use = useBench(who, { base: false });

  test('hold every byte, every time (TAR-35)', { timeout: 300_000 }, async () => {
    const { bench } = use;
    const sums: string[] = [];
    const layers = [0, 1, 2, 3].map((layer): TarMember[] => [
      ...(layer === 0 ? baseMembers() : []),
      ...Array.from({ length: FILES }, (_, at): TarMember => {
        // Every second file of a layer stands in the way of the next layer's.
        const name = at % 2 === 0 ? `data/l${layer}-${at}` : `data/shared-${at}`;
        const content = randomBytes(BYTES - at);
        if (at % 2 === 0 || layer === 3) sums.push(`${createHash('sha256').update(content).digest('hex')}  /${name}\n`);
        return { name, content };
      }),
    ]);
    const { manifest, blobs } = testImage({ layers });
    const { mediaType } = JSON.parse(manifest.bytes.toString()) as { mediaType: string };
    const { digest, size } = manifest;
    const index = { schemaVersion: 2, manifests: [{ mediaType, digest, size }] };
    const layout = tar([
      { name: 'oci-layout', content: '{"imageLayoutVersion":"1.0.0"}' },
      { name: 'index.json', content: JSON.stringify(index) },
      ...blobs.map((blob) => ({ name: `blobs/${blob.digest.replace(':', '/')}`, content: blob.bytes })),
    ]);
    const context = bench.context('FROM four:1\nRUN sha256sum /data/* > /sums\nFROM scratch\nCOPY --from=0 /sums /\n');
    bench.write('.', { 'four.tar': layout });
    for (let time = 0; time < REPEATS; time++) {
      const store = bench.path(`store-${time}`);
      await bench.ok(['import', 'four.tar', '-t', 'four:1'], { store });
      const { stdout } = await bench.ok(['build', '-q', '-o', 'type=tar,dest=-', context], { store });
      const found = stdout.toString('latin1');
      for (const sum of sums) expect([time, found.includes(sum)], sum).toEqual([time, true]);
      expect(found.match(/ {2}\/data\//g)).toHaveLength(sums.length);
    }
  });
});
