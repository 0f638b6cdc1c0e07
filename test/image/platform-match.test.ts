import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  availablePlatforms,
  type Descriptor,
  formatPlatform,
  type ImageConfig,
  type ImageIndex,
  mediaTypes,
  parsePlatform,
  platformVector,
  runsOn,
} from '../../src/image/index.ts';
import { selectManifests } from '../../src/image/platform-match.ts';
import { sha256 } from '../../src/util/index.ts';

/** An entry for a platform as `os/arch[/variant]`; `-` says none. */
function entry(platform: string, more: Partial<Descriptor> = {}): Descriptor {
  const [os = '', architecture = '', variant] = platform.split('/');
  return {
    mediaType: mediaTypes.ociManifest,
    digest: sha256(`${platform} ${JSON.stringify(more)}`),
    size: 1,
    ...(platform === '-' ? {} : { platform: { os, architecture, ...(variant === undefined ? {} : { variant }) } }),
    ...more,
  };
}

const indexOf = (...entries: readonly (string | Descriptor)[]): ImageIndex => ({
  schemaVersion: 2,
  manifests: entries.map((one) => (typeof one === 'string' ? entry(one) : one)),
});

/** What an index gives for a platform, best first. */
function chosen(index: ImageIndex, wanted: string): string[] {
  return selectManifests(index, parsePlatform(wanted)).map(({ platform }) =>
    platform === undefined ? '-' : [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/'),
  );
}

describe('what runs where', () => {
  // containerd's platforms/compare.go: the platform itself, lower variants, then what the machine can run as well.
  test.each([
    ['linux/amd64', 'linux/amd64 linux/386'],
    ['linux/amd64/v2', 'linux/amd64/v2 linux/amd64 linux/386'],
    ['linux/amd64/v4', 'linux/amd64/v4 linux/amd64/v3 linux/amd64/v2 linux/amd64 linux/386'],
    ['linux/amd64/other', 'linux/amd64/other linux/amd64 linux/386'],
    ['linux/386', 'linux/386'],
    ['linux/arm', 'linux/arm/v7 linux/arm/v6 linux/arm/v5'],
    ['linux/arm/v5', 'linux/arm/v5'],
    ['linux/arm/v8', 'linux/arm/v8 linux/arm/v7 linux/arm/v6 linux/arm/v5'],
    ['linux/arm/other', 'linux/arm/other'],
    ['linux/arm64', 'linux/arm64 linux/arm/v8 linux/arm/v7 linux/arm/v6 linux/arm/v5'],
    ['linux/arm64/v9', 'linux/arm64/v9 linux/arm64 linux/arm/v8 linux/arm/v7 linux/arm/v6 linux/arm/v5'],
    ['linux/riscv64/rva22', 'linux/riscv64/rva22'],
    ['windows/amd64', 'windows/amd64 windows/386'],
  ])('%s: %s', (wanted, all) => {
    expect(platformVector(parsePlatform(wanted)).map(formatPlatform).join(' ')).toBe(all);
  });

  // Dockerfiles say what platform a stage is for: as many candidates as their number says would take all memory.
  test.each(['v4294967295', 'v99999999999999999999', 'v100', 'v-1', 'v1e9', 'v02x'])(
    'a variant that no machine has stands for itself: amd64/%s',
    (variant) => {
      for (const architecture of ['amd64', 'arm', 'arm64']) {
        const all = platformVector({ os: 'linux', architecture, variant }).map(formatPlatform);
        expect(all[0]).toBe(`linux/${architecture}/${variant}`);
        expect(all.length).toBeLessThan(8);
      }
    },
  );

  test('is whatever an image says of itself, in any spelling', () => {
    const config = (architecture: string, variant?: string): ImageConfig => ({
      os: 'linux',
      architecture,
      ...(variant === undefined ? {} : { variant }),
      config: {},
      rootfs: { type: 'layers', diff_ids: [] },
      history: [],
    });
    const on = (wanted: string, ...image: Parameters<typeof config>): boolean =>
      runsOn(config(...image), parsePlatform(wanted));
    expect(on('linux/amd64', 'x86_64')).toBe(true);
    expect(on('linux/arm64', 'aarch64', 'v8')).toBe(true);
    expect(on('linux/arm64', 'arm', '7')).toBe(true);
    expect(on('linux/arm64', 'arm', '')).toBe(true);
    expect(on('linux/arm/v6', 'arm', 'v7')).toBe(false);
    expect(on('linux/amd64', 'amd64', 'v3')).toBe(false);
    expect(on('linux/amd64', 'arm64')).toBe(false);
    expect(on('windows/amd64', 'amd64')).toBe(false);
  });
});

describe('an entry of an index', () => {
  test.each<[string, readonly string[], readonly string[]]>([
    ['linux/amd64', ['linux/arm64', 'linux/386', 'linux/amd64'], ['linux/amd64', 'linux/386']],
    ['linux/amd64/v3', ['linux/amd64', 'linux/amd64/v4', 'linux/amd64/v2'], ['linux/amd64/v2', 'linux/amd64']],
    ['linux/amd64', ['linux/amd64/v2', 'windows/amd64'], []],
    ['linux/amd64/other', ['linux/amd64', 'linux/amd64/other'], ['linux/amd64/other', 'linux/amd64']],
    ['linux/arm/v6', ['linux/arm/v7', 'linux/arm/v5', 'linux/arm/v6'], ['linux/arm/v6', 'linux/arm/v5']],
    ['linux/arm64', ['linux/arm/v7', 'linux/arm64/v8'], ['linux/arm64/v8', 'linux/arm/v7']],
    ['linux/arm64', ['linux/aarch64', 'linux/arm'], ['linux/aarch64', 'linux/arm']],
    ['linux/s390x', ['-', 'linux/s390x', '-'], ['linux/s390x', '-', '-']],
    ['linux/s390x', ['unknown/unknown', 'linux/unknown'], []],
    ['linux/s390x', [], []],
  ])('for %s out of %j: %j', (wanted, all, best) => {
    expect(chosen(indexOf(...all), wanted)).toEqual(best);
  });

  test('is the first of equals', () => {
    const [first, second] = [entry('linux/amd64', { size: 1 }), entry('linux/amd64', { size: 2 })];
    expect(selectManifests(indexOf(first, second), parsePlatform('linux/amd64'))).toEqual([first, second]);
    expect(selectManifests(indexOf(second, first), parsePlatform('linux/amd64'))).toEqual([second, first]);
  });

  test('is never an attestation, nor what is neither manifest nor index', () => {
    const image = entry('linux/amd64');
    const attestation = entry('linux/amd64', { annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } });
    const other = entry('linux/amd64', { mediaType: 'application/vnd.other+json' });
    const nested = entry('linux/amd64', { mediaType: mediaTypes.dockerIndex });
    const index = indexOf(attestation, other, image, nested);
    expect(selectManifests(index, parsePlatform('linux/amd64'))).toEqual([image, nested]);
    expect(availablePlatforms(index)).toEqual(['linux/amd64']);
  });

  test('of Windows is for the build that it was made for, whatever its revision', () => {
    const made = (version: string): Descriptor =>
      entry('windows/amd64', { platform: { os: 'windows', architecture: 'amd64', 'os.version': version } });
    const [old, recent, silent] = [made('10.0.17763.1'), made('10.0.20348.500'), entry('windows/amd64')];
    const index = indexOf(old, recent, silent);
    expect(selectManifests(index, parsePlatform('windows(10.0.20348.9999)/amd64'))).toEqual([recent, silent]);
    expect(selectManifests(index, parsePlatform('windows/amd64'))).toEqual([old, recent, silent]);
  });

  test('is told once for each platform, in order, when none will do', () => {
    const index = indexOf('linux/s390x', 'linux/aarch64', 'linux/arm64', 'unknown/unknown', '-', 'linux/arm');
    expect(availablePlatforms(index)).toEqual(['linux/arm/v7', 'linux/arm64', 'linux/s390x']);
  });
});

test('what is chosen runs there, and nothing better is passed over', () => {
  const platform = fc.constantFrom('linux/amd64', 'linux/amd64/v2', 'linux/amd64/v3', 'linux/386', 'linux/arm/v5', 'linux/arm/v7', 'linux/arm64', 'linux/arm64/v9', 'linux/riscv64', 'windows/amd64', '-'); // oxfmt-ignore
  const wanted = platform.filter((one) => one !== '-');
  fc.assert(
    fc.property(fc.array(platform, { maxLength: 8 }), wanted, (all, one) => {
      const order = platformVector(parsePlatform(one)).map(formatPlatform);
      const ranks = chosen(indexOf(...all), one).map((name) => (name === '-' ? Infinity : order.indexOf(name)));
      expect(ranks).not.toContain(-1);
      expect(ranks).toEqual(ranks.toSorted((a, b) => a - b || 0));
      expect(ranks).toHaveLength(all.filter((name) => name === '-' || order.includes(name)).length);
    }),
  );
});
