import { mkdirSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { MNT_DETACH, mountOverlay, umount } from '../sys/index.ts';
import { fromErrno } from '../util/index.ts';
import { shownLayers } from '../tree/index.ts';
import { copiedStack } from './copied-stack.ts';
import { masksOf } from './layer-masks.ts';
import type { MountedStack, Upper } from './mounted-stack.ts';
import { linkLayers, shallowStack } from './deep-stack.ts';
import type { WorkerConfig } from './protocol.ts';

/** Above so many layers their paths may not fit the page that older kernels take; links with short names then stand in. */
const LINK_FROM = 20;

/**
 * Mounts layer directories (bottom first) at a private place that only this namespace sees; with `upper` for writing, else
 * read-only. The mount disappears with the namespace in any case.
 * @throws TsbuildError `TSB_STORE` when the kernel refuses
 */
export function mountStack(config: WorkerConfig, all: readonly string[], upper?: Upper): MountedStack {
  if (config.plan.copies) return copiedStack(config, shownLayers(all), upper);
  const layers = shallowStack(config, [...masksOf(all), ...all]);
  const own = mkdtempSync(`${config.privateDir}/stack-`);
  const path = `${own}/root`;
  try {
    mkdirSync(path);
    const lowers = layers.length > LINK_FROM ? linkLayers(own, layers) : [...layers];
    // Overlay wants a lower directory in any case, and two without an upper one.
    for (let index = 0; lowers.length < (upper ? 1 : 2); index++) {
      mkdirSync(`${own}/empty${index}`);
      lowers.unshift(`${own}/empty${index}`);
    }
    mountOverlay(path, {
      lowers,
      volatile: true,
      ...(upper ? { upper: upper.fs, work: upper.work } : {}),
    });
  } catch (error) {
    rmSync(own, { recursive: true, force: true });
    throw fromErrno(error, 'Cannot mount layers', 'TSB_STORE');
  }
  return {
    path,
    [Symbol.dispose](): void {
      umount(path, MNT_DETACH);
      // Fails while something is mounted there, so that what follows cannot reach into layers.
      rmdirSync(path);
      rmSync(own, { recursive: true, force: true });
      // Left by `volatile`, and would make a second mount of the directory fail.
      if (upper) rmSync(`${upper.work}/work`, { recursive: true, force: true });
    },
  };
}
