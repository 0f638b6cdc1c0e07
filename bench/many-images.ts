import { sha256 } from '../src/util/index.ts';
import { tar } from '../test/support/image.ts';

/** What `docker save` would write of so many images, `many:1` and so on, each with a layer of its own above one that all share. */
export function manyImages(count: number, base: Uint8Array): Uint8Array {
  const shared = sha256(base);
  const images = Array.from({ length: count }, (_, at) => {
    const layer = tar([{ name: 'number', content: `${at}\n` }]);
    const config = {
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: [shared, sha256(layer)] },
    };
    return [
      { name: `${at}.json`, content: JSON.stringify(config) },
      { name: `${at}.tar`, content: layer },
    ];
  });
  const manifest = images.map((_, at) => ({
    Config: `${at}.json`,
    RepoTags: [`many:${at + 1}`],
    Layers: ['base.tar', `${at}.tar`],
  }));
  return tar([
    { name: 'manifest.json', content: JSON.stringify(manifest) },
    { name: 'base.tar', content: base },
    ...images.flat(),
  ]);
}
