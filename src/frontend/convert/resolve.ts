import { EnvList, image, scratch } from '../../llb/index.ts';
import {
  formatReference,
  normalizeReference,
  parseReference,
  type ImageConfig,
  normalizePlatform,
  type Platform,
} from '../../image/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { didYouMean } from '../dockerfile/suggestion.ts';
import { parseTrigger } from '../dockerfile/instructions/stages.ts';
import { dockerfileError } from '../dockerfile/failure.ts';
import { goQuote } from '../dockerfile/text.ts';
import { lintBasePlatform } from '../lint/variable-rules.ts';
import { addDependencies, withSources } from './dependencies.ts';
import { copyConfig, emptyImage, platformOf } from './image-config.ts';
import type { Lowering } from './lowering.ts';
import { stepName } from './names.ts';
import { formatPlatformFull } from './platform.ts';
import { neededPaths } from './context-paths.ts';
import { reachableFrom, type StageState } from './stage-state.ts';

/**
 * Resolves the base images of the stages that the target needs, all at the same time, and fires ONBUILD triggers. Triggers
 * may need further stages, so this goes on until none does. Other stages are not asked for.
 */
export async function resolveStages(lowering: Lowering, target: StageState): Promise<ReadonlySet<StageState>> {
  for (;;) {
    const reachable = reachableFrom(target);
    const wanted = lowering.options.allStages ? new Set(lowering.stages.all) : reachable;
    await resolveBases(lowering, wanted);
    let found = false;
    // In the order of the file, so that stages come before those that are built on them.
    for (const state of [...lowering.stages.all].filter((one) => reachable.has(one))) {
      if (fireTriggers(lowering, state)) found = true;
    }
    if (!found) return reachable;
  }
}

/** Finds the bases of all stages at a time: each is a question to a registry. */
async function resolveBases(lowering: Lowering, wanted: ReadonlySet<StageState>): Promise<void> {
  const open = lowering.stages.all.filter((state) => state.base === undefined && !state.dispatched && !state.resolved);
  // All are waited for, so that no request outlives the build; the first failure in the order of the file is reported.
  const results = await Promise.allSettled(
    open.map(async (state) => {
      state.resolved = wanted.has(state);
      if (state.baseName === 'scratch' && state.namedContext === undefined) startFromScratch(lowering, state);
      else await resolveBase(lowering, state, state.resolved);
    }),
  );
  for (const [index, result] of results.entries()) {
    if (result.status === 'rejected') throw atStage(result.reason, open[index]);
  }
}

/** An error of a base is shown at its FROM. */
function atStage(error: unknown, state: StageState | undefined): unknown {
  if (!(error instanceof TsbuildError) || error.ranges.length > 0 || state === undefined) return error;
  const { code, message, hint } = error;
  return new TsbuildError(code, message, {
    ranges: state.stage.ranges,
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}

/** A stage on nothing. Its config is that of an empty image of the target platform. */
function startFromScratch(lowering: Lowering, state: StageState): void {
  state.state = scratch();
  state.image = emptyImage(lowering.platform);
  state.platform = lowering.platform;
  if (state.unregistered) state.dispatched = true;
}

/** Gives a stage its base. Stages that only stand for an image are complete with that. */
async function resolveBase(lowering: Lowering, state: StageState, needed: boolean): Promise<void> {
  try {
    await loadBase(lowering, state, needed);
  } finally {
    if (state.unregistered) state.dispatched = true;
  }
}

/** A base is, in this order: a named context for the stage, a named context for the image, or the image. */
async function loadBase(lowering: Lowering, state: StageState, needed: boolean): Promise<void> {
  const original = state.baseName;
  const platform = state.platform ?? lowering.platform;
  state.baseName = fullName(original);
  // Nobody builds on it: its name will do, and no registry is asked.
  if (!needed) {
    state.state = image(state.baseName, { platform });
    state.platform = platform;
    return;
  }
  const followPaths = (): readonly string[] | undefined => neededPaths(state.paths);
  if (state.namedContext !== undefined) {
    const loaded = await state.namedContext.load({ platform, followPaths });
    state.dispatched = true;
    state.state = loaded.state;
    if (loaded.image !== undefined) {
      state.image = loaded.image;
      state.platform = platformOf(loaded.image) ?? state.platform;
    }
    return;
  }
  const replacement = lowering.contexts.find(state.baseName, platform);
  if (replacement !== undefined) {
    const loaded = await replacement.load({ platform, followPaths });
    const config = loaded.image ?? emptyImage(platform);
    state.baseImage = copyConfig(config);
    state.image = config;
    state.state = loaded.state.platform(platform);
    state.platform = platform;
    return;
  }
  await loadImage(lowering, state, original, platform);
}

/** Asks for the image, and begins the stage with its config. */
async function loadImage(lowering: Lowering, state: StageState, original: string, wanted: Platform): Promise<void> {
  const { options } = lowering;
  const shown = lowering.shown(wanted);
  const mode = options.imageResolveMode ?? 'default';
  const resolved = await lowering.bridge
    .resolveImage({
      reference: state.baseName,
      written: original,
      platform: wanted,
      mode,
      name: `[${shown === undefined ? '' : `${formatPlatformFull(shown)} `}internal] load metadata for ${state.baseName}`,
    })
    .catch((error: unknown) => {
      throw withSuggestion(error, original, lowering);
    });
  const reference = parseReference(resolved.reference ?? state.baseName);
  state.baseName = formatReference(
    resolved.digest === undefined ? reference : { ...reference, digest: resolved.digest },
  );
  state.baseImage = resolved.config;
  state.image = copyConfig(resolved.config);
  // The time of the base is not that of the result.
  delete state.image.created;
  const platform =
    state.platform === undefined && lowering.implicitPlatform
      ? detectPlatform(lowering, resolved.config, wanted)
      : wanted;
  state.platform = platform;
  if (isEmptyImage(resolved.config)) {
    state.state = scratch();
    return;
  }
  state.state = image(state.baseName, {
    platform,
    resolveMode: mode,
    name: stepName(state, `FROM ${state.baseName}`, lowering.shown(platform), EnvList.empty),
    description: { 'com.docker.dockerfile.v1.command': state.stage.original },
    location: lowering.location(state.stage.ranges),
  });
  lintBasePlatform(
    lowering.linter,
    state.stage,
    original,
    platform,
    normalizePlatform(platformOf(state.image) ?? platform),
  );
}

/** Without `--platform` an image that exists for another platform only is taken for what it is. */
function detectPlatform(lowering: Lowering, config: ImageConfig, wanted: Platform): Platform {
  if (wanted.os === config.os && wanted.architecture === config.architecture) return wanted;
  const build = lowering.options.buildPlatform;
  return build.os === config.os && build.architecture === config.architecture ? build : wanted;
}

/** An image without layers is as good as scratch. */
function isEmptyImage(config: ImageConfig): boolean {
  return config.rootfs.diff_ids.length === 0 && config.history.every((entry) => entry.empty_layer);
}

/** The image's name in full; FROM alone may name one that is not an image reference after all. */
function fullName(name: string): string {
  try {
    return normalizeReference(name);
  } catch (error) {
    if (!(error instanceof TsbuildError)) throw error;
    const reason = /invalid reference format.*$/s.exec(error.message)?.[0] ?? error.message;
    throw dockerfileError(`failed to parse stage name ${goQuote(name)}: ${reason}`);
  }
}

const COMMON_IMAGES = ['alpine', 'busybox', 'centos', 'debian', 'golang', 'ubuntu', 'fedora'];

/** A failure to find an image, with the name that was perhaps meant. */
function withSuggestion(error: unknown, name: string, lowering: Lowering): unknown {
  if (!(error instanceof TsbuildError) || !['TSB_NOT_FOUND', 'TSB_REGISTRY', 'TSB_NETWORK'].includes(error.code))
    return error;
  // A name that no server was asked about may well be one of an image.
  const images = error.code === 'TSB_NETWORK' ? [] : COMMON_IMAGES.flatMap((known) => [known, `${known}:latest`]);
  const candidates = [...lowering.stages.names(), ...images];
  const message = didYouMean(`${name}: ${error.message}`, name, candidates);
  return new TsbuildError(error.code, message, {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

/** Puts the commands that the base left for its children in front of the stage's own. @returns whether one needs a stage */
function fireTriggers(lowering: Lowering, state: StageState): boolean {
  state.inherit();
  const triggers = [...(state.image.config.OnBuild ?? [])];
  if (state.base !== undefined && !state.onbuildDone) {
    for (const { command } of state.base.commands) if (command.type === 'onbuild') triggers.push(command.expression);
    state.onbuildDone = true;
  }
  delete state.image.config.OnBuild;
  const commands = triggers.map((trigger) => withSources(parseTrigger(trigger, state.stage.ranges), lowering, true));
  for (const command of commands) addDependencies(state, command, lowering.stages);
  state.commands = [...commands, ...state.commands];
  state.commandTotal += commands.length;
  return commands.some((command) => command.sources.length > 0);
}
