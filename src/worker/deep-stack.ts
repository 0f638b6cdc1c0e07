import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { writeWhiteoutMask } from '../layer/index.ts';
import type { StepSpec } from '../sandbox/index.ts';
import { mountOverlay } from '../sys/index.ts';
import { shownLayers } from '../tree/index.ts';
import { errnoOf, fromErrno, sha256, hexOf, TsbuildError } from '../util/index.ts';
import { masksOf } from './layer-masks.ts';
import type { WorkerConfig } from './protocol.ts';

/** How a stack is divided. `most` is what one overlay takes. */
export interface StackLimits {
  /** Directories of one overlay. */
  readonly most: number;
  /** Layers that are merged in the middle of a stack at a time. */
  readonly middle: number;
}

/** Directories of one overlay: the kernel's OVL_MAX_STACK. */
const MOST_LAYERS = 500;

const LIMITS: StackLimits = { most: MOST_LAYERS, middle: 400 };

const DEEP_HINT =
  'put several commands into one RUN, or begin anew with one layer: FROM scratch and COPY --from=<stage> / /';

const NESTED_HINT = `more than ${LIMITS.most} layers need an overlay on an overlay, which works where the store is on no overlay itself (see TSBUILD_ROOT); or ${DEEP_HINT}`;

/**
 * A stack with more layers than an overlay takes as fewer directories that show the same: the lowest layers, and those in the
 * middle in portions, merged by read-only overlays. The kernel allows an overlay on overlays, but no third one on top; so this is
 * wide and not deep. Under each portion but the lowest lies a mask with what the portion hides, which its overlay does not tell. The
 * same mask at the bottom of the portion makes the overlay merge where it would hand a layer's directory on as it is: with whiteouts,
 * which it then lists as names that nobody can open.
 *
 * What was merged stays mounted until the worker ends, at a place that tells what it is, for all later steps and threads.
 * @param all directories, bottom first; those that a root above hides are left out
 * @throws TsbuildError `TSB_STORE` for more layers than fit (from 21,297 on), or where the kernel refuses
 */
export function shallowStack(
  config: Pick<WorkerConfig, 'privateDir'>,
  all: readonly string[],
  { most, middle }: StackLimits = LIMITS,
): readonly string[] {
  const layers = shownLayers(all);
  if (layers.length <= most) return layers;
  // Its mask takes one place in a portion.
  let at = most - 1;
  const portions: (readonly string[])[] = [layers.slice(0, at)];
  // With one portion, everything else has room beside it as it is.
  if (layers.length - at >= most)
    for (; at + middle <= layers.length; at += middle) portions.push(layers.slice(at, at + middle));
  const rest = layers.slice(at);
  if (2 * portions.length - 1 + rest.length > most)
    throw new TsbuildError('TSB_STORE', `Cannot mount ${layers.length} layers: they are too many`, { hint: DEEP_HINT });
  return [...portions.flatMap((portion, index) => mergePortion(config, portion, index > 0)), ...rest];
}

/** The directories that stand for a portion, bottom first. */
function mergePortion(
  { privateDir }: Pick<WorkerConfig, 'privateDir'>,
  layers: readonly string[],
  masked: boolean,
): readonly string[] {
  const place = `${privateDir}/merged-${hexOf(sha256(layers.join('\n'))).slice(0, 32)}`;
  if (!existsSync(place)) {
    const own = mkdtempSync(`${privateDir}/portion-`);
    try {
      for (const name of ['root', 'mask']) mkdirSync(`${own}/${name}`);
      writeWhiteoutMask(layers, `${own}/mask`);
      mountOverlay(`${own}/root`, { lowers: [`${own}/mask`, ...linkLayers(own, layers)] });
    } catch (error) {
      rmSync(own, { recursive: true, force: true });
      throw fromErrno(error, `Cannot merge ${layers.length} layers`, 'TSB_STORE', { hint: NESTED_HINT });
    }
    try {
      symlinkSync(own, place);
    } catch (error) {
      // Another thread has made the same meanwhile: one is as good as the other.
      if (errnoOf(error) !== 'EEXIST') throw error;
    }
  }
  return masked ? [`${place}/mask`, `${place}/root`] : [`${place}/root`];
}

/** Links with short names: where the kernel takes paths in one page only, those of hundreds of layers would not fit. */
export function linkLayers(own: string, layers: readonly string[]): string[] {
  const directory = `${own}/l`;
  mkdirSync(directory);
  return layers.map((layer, index) => {
    const link = `${directory}/${index}`;
    symlinkSync(layer, link);
    return link;
  });
}

/** The step with no more layers anywhere than one overlay takes. */
export function withShallowStacks(spec: StepSpec, config: WorkerConfig): StepSpec {
  // Which layers of a stack show, the helper looks up again.
  const shallow = (dirs: readonly string[]): readonly string[] => {
    const masked = [...masksOf(dirs), ...dirs];
    return masked.length <= MOST_LAYERS ? masked : shallowStack(config, masked);
  };
  return {
    ...spec,
    lowers: shallow(spec.lowers),
    mounts: (spec.mounts ?? []).map((mount) =>
      mount.type === 'layers' ? { ...mount, lowers: shallow(mount.lowers) } : mount,
    ),
  };
}
