import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { writeWhiteoutMask } from '../layer/index.ts';
import { storeError } from '../store/index.ts';
import { errnoOf } from '../util/index.ts';

/** Which layers have a mask, as far as this process has looked. One that comes later is wanted where `maskLayers` was asked for it. */
const known = new Map<string, boolean>();

/**
 * Writes beside each layer which names it takes away, in the directories that they are in. It has its name when it is whole, and one that
 * would be empty is left so: that it is there tells that the layer was looked at.
 */
export function maskLayers({ dirs }: { readonly dirs: readonly string[] }): void {
  for (const dir of dirs) {
    known.delete(dir);
    if (existsSync(`${dir}/mask`)) continue;
    try {
      const own = mkdtempSync(`${dir}/mask-`);
      writeWhiteoutMask([`${dir}/fs`], own);
      try {
        renameSync(own, `${dir}/mask`);
      } catch (error) {
        rmSync(own, { recursive: true, force: true });
        // Another process has made the same meanwhile.
        if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'EEXIST') throw error;
      }
    } catch (error) {
      throw storeError(error, `Cannot make the mask of the layer directory "${dir}"`, dir);
    }
  }
}

/**
 * The masks of a stack's layers, which belong beneath all of it: there they hide nothing, and every directory in which a layer takes
 * something away is one that overlayfs merges, and so lists without what was taken away.
 */
export function masksOf(layers: readonly string[]): readonly string[] {
  return layers
    .map((layer) => dirname(layer))
    .filter(hasMask)
    .map((dir) => `${dir}/mask`);
}

/** A layer is looked at once, not by each of the many steps that stand on it. */
function hasMask(dir: string): boolean {
  let has = known.get(dir);
  if (has === undefined) known.set(dir, (has = existsSync(`${dir}/mask`) && readdirSync(`${dir}/mask`).length > 0));
  return has;
}
