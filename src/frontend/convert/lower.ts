import { marshal, type State } from '../../llb/index.ts';
import { type ImageConfig, normalizePlatform } from '../../image/index.ts';
import { placed } from '../dockerfile/failure.ts';
import { StageLinter } from '../lint/stage-rules.ts';
import { buildStages, findTarget } from './build-stages.ts';
import { applyUser, applyWorkdir } from './commands/workdir.ts';
import { neededPaths } from './context-paths.ts';
import { linkStages } from './dependencies.ts';
import { dispatch } from './dispatch.ts';
import { defaultPath, splitEnv } from './image-config.ts';
import type { Lowering } from './lowering.ts';
import { contextState, type MainContext } from './main-context.ts';
import { isAbsolute } from './paths.ts';
import { resolveStages } from './resolve.ts';
import { reachableFrom, type StageState } from './stage-state.ts';
import { goBool } from '../../util/index.ts';

/** A target lowered for one platform. */
export interface LoweredTarget {
  readonly target: StageState;
  readonly state: State;
  /** The build context, for those who scan it. */
  readonly context: State;
  readonly image: ImageConfig;
}

/** Lowers the Dockerfile for one platform: stages to states, with the image config of the target. */
export async function lowerTarget(lowering: Lowering, context: MainContext): Promise<LoweredTarget> {
  buildStages(lowering);
  const target = findTarget(lowering);
  linkStages(lowering);
  const reachable = await resolveStages(lowering, target);
  const contextPaths = new Set<string>();
  for (const state of lowering.stages.all) {
    if (state.dispatched || !(lowering.options.allStages || reachable.has(state))) continue;
    lowerStage(lowering, state);
    for (const path of state.contextPaths) contextPaths.add(path);
  }
  // The whole of the result is needed, whatever else is read from it.
  target.paths.add('/');
  const main = contextState(context, lowering.options, neededPaths(contextPaths));
  lowering.context.decide(main.output);
  lowering.contexts.settle();
  finishImage(lowering, target);
  return { target, state: target.state, context: main, image: target.image };
}

/** Lowers the instructions of a stage in their order. */
function lowerStage(lowering: Lowering, state: StageState): void {
  if (state.base !== undefined) lowering.room.takeShared(state.base.inheritable);
  state.inherit();
  state.dispatched = true;
  state.platform ??= lowering.platform;
  const { os } = state.platform;
  const { config } = state.image;
  const path = defaultPath(os);
  if (path !== undefined && !(config.Env ?? []).some((entry) => splitEnv(entry)[0] === 'PATH')) {
    config.Env = [...(config.Env ?? []), path];
  }
  state.state = state.state.addEnvs((config.Env ?? []).map(splitEnv));
  const { hostname, network = 'sandbox' } = lowering.options;
  if (hostname) state.state = state.state.with({ hostname });
  placed(state.stage.ranges, () => {
    if (config.WorkingDir) applyWorkdir(state, config.WorkingDir);
  });
  if (config.User) applyUser(state, config.User);
  state.state = state.state.with({ network });
  const linter = new StageLinter(lowering.linter, {
    hasShell: (config.Shell ?? []).length > 0,
    hasWorkdir: state.hasWorkdir,
    isAbsolute: (path) => isAbsolute(path, os),
  });
  for (const command of state.commands) dispatch(lowering, state, command, linter);
  state.hasWorkdir = linter.end.hasWorkdir;
}

/** What the config says at the end, after all instructions. */
function finishImage(lowering: Lowering, target: StageState): void {
  const { image } = target;
  const { labels } = lowering.options;
  if (labels.size > 0) image.config.Labels = { ...image.config.Labels, ...Object.fromEntries(labels) };
  if (!lowering.implicitPlatform) {
    const { os, architecture, variant, osVersion } = lowering.platform;
    const same = os === image.os && architecture === image.architecture;
    image.os = os;
    image.architecture = architecture;
    if (variant || !same) setOrDelete(image, 'variant', variant);
    if (osVersion || !same) setOrDelete(image, 'os.version', osVersion);
  }
  if (image.os === '' || image.architecture === '') return;
  const normal = normalizePlatform({
    os: image.os,
    architecture: image.architecture,
    ...(image.variant ? { variant: image.variant } : {}),
  });
  image.os = normal.os;
  image.architecture = normal.architecture;
  setOrDelete(image, 'variant', normal.variant);
}

function setOrDelete(image: ImageConfig, key: 'variant' | 'os.version', value: string | undefined): void {
  if (value) image[key] = value;
  else delete image[key];
}

/** What an SBOM scanner should look at beside the result, as the BUILDKIT_SBOM_SCAN_* arguments say. */
export function scanTargets(lowering: Lowering, lowered: LoweredTarget): ReadonlyMap<string, State> {
  const extras = new Map<string, State>();
  for (const state of reachableFrom(lowered.target)) {
    if (state === lowered.target) {
      if (wantsScan(lowering, state, 'BUILDKIT_SBOM_SCAN_CONTEXT')) extras.set('context', lowered.context);
    } else if (wantsScan(lowering, state, 'BUILDKIT_SBOM_SCAN_STAGE')) extras.set(state.name, state.state);
  }
  return extras;
}

function wantsScan(lowering: Lowering, state: StageState, key: string): boolean {
  let value = lowering.globalArgs.get(key);
  value = state.buildArgs.get(key)?.value ?? value;
  if (value === undefined) return false;
  return goBool(value) ?? value.split(',').includes(state.name);
}

/** The definition of a lowered target. */
export function marshalTarget(lowering: Lowering, state: State): ReturnType<typeof marshal> {
  return marshal(state, { platform: lowering.platform });
}
