import { type CopyOptions, merge, parseOwner, type PendingAction, scratch, type State } from '../../../llb/index.ts';
import type { Platform } from '../../../image/index.ts';
import { redactUrls } from '../../../util/index.ts';
import type { AddCommand, CopyCommand } from '../../dockerfile/types.ts';
import { dockerfileError } from '../../dockerfile/failure.ts';
import { goQuote } from '../../dockerfile/text.ts';
import { rootedPath } from '../context-paths.ts';
import { addHistory } from '../image-config.ts';
import type { Lowering } from '../lowering.ts';
import { displayName, stepName } from '../names.ts';
import { contentName, destinationPath, toSlash } from '../paths.ts';
import type { StageState } from '../stage-state.ts';
import { surprises } from '../surprises.ts';
import { parseChmod } from './chmod.ts';
import { type CopyRequest, gitAction, httpAction, localAction, sourceKind } from './copy-sources.ts';

/** COPY from the build context or another stage. */
export function lowerCopy(
  lowering: Lowering,
  state: StageState,
  command: CopyCommand,
  source: StageState | undefined,
): void {
  if (source !== undefined && !source.dispatched) {
    throw dockerfileError(
      `cannot copy from stage ${goQuote(command.from)}, it needs to be defined before current stage ${goQuote(state.name)}`,
    );
  }
  lowerFiles(lowering, state, command, source?.state);
  const needed = source?.paths ?? state.contextPaths;
  for (const path of command.sources) needed.add(rootedPath(path));
}

/** ADD: like COPY, and from the web and from git; archives are unpacked. */
export function lowerAdd(lowering: Lowering, state: StageState, command: AddCommand): void {
  lowerFiles(lowering, state, command, undefined);
  for (const path of command.sources) if (!/^https?:\/\//.test(path)) state.contextPaths.add(rootedPath(path));
}

/** The actions of one COPY or ADD: one for each source and each heredoc, in the order in which they are written. */
function lowerFiles(
  lowering: Lowering,
  state: StageState,
  command: AddCommand | CopyCommand,
  stage: State | undefined,
): void {
  const platform = state.platform ?? lowering.platform;
  const dest = destinationPath(state.state.meta.dir, command.dest, platform.os);
  const owner = command.chown === '' ? undefined : parseOwner(command.chown);
  const mode = command.chmod === '' ? undefined : parseChmod(command.chmod);
  checkChecksum(command);
  reportSurprises(lowering, command, dest);
  const { env } = state.state.meta;
  const text = redactUrls(displayName(lowering, command.original, env));
  const name = stepName(state, text, lowering.shown(platform), env);
  const request: CopyRequest = {
    lowering,
    command,
    source: stage ?? lowering.contextState,
    fromContext: stage === undefined,
    os: platform.os,
    dest,
    name,
    options: {
      ...(mode === undefined ? {} : { mode }),
      ...(owner === undefined ? {} : { owner }),
      excludePatterns: command.exclude,
      createDestPath: true,
    },
  };
  const actions = [
    ...command.sources.map((source) => sourceAction(request, source)),
    ...command.contents.map(({ path, data }) => contentAction(path, data, platform, dest, request.options)),
  ];
  applyActions(lowering, state, command, { actions, name, text, platform });
  addHistory(state.image, `${redactUrls(history(command))} # buildkit`, lowering, { layer: true });
}

/** A source by what it is. */
function sourceAction(request: CopyRequest, source: string): PendingAction {
  const kind = sourceKind(source);
  if (kind.kind === 'git') return gitAction(request, kind.ref);
  return kind.kind === 'http' ? httpAction(request, source) : localAction(request, source);
}

/** A heredoc is a file made on its own, so that copying it follows the same rules as any other file. */
function contentAction(
  path: string,
  data: string,
  platform: Platform,
  dest: string,
  options: CopyOptions,
): PendingAction {
  const name = contentName(path, platform.os);
  const file = scratch().file([{ kind: 'mkfile', path: name, mode: 0o644, data: Buffer.from(data), options: {} }], {
    name: '[internal] preparing inline document',
    platform,
  });
  return { kind: 'copy', from: { output: file.output, dir: '/' }, src: toSlash(name, platform.os), dest, options };
}

/** What a COPY comes to. */
interface CopyStep {
  readonly actions: readonly PendingAction[];
  readonly name: string;
  /** The name without its count. */
  readonly text: string;
  readonly platform: Platform;
}

/**
 * Makes the vertices of a COPY: one upon the stage's tree, or with `--link` one on scratch and one that merges it
 * in.
 */
function applyActions(lowering: Lowering, state: StageState, command: AddCommand | CopyCommand, step: CopyStep): void {
  const common = { ignoreCache: state.ignoreCache, location: lowering.location(command.ranges) };
  // A mode may be relative to what is there, so it needs the tree below.
  if (!command.link || command.chmod !== '') {
    state.state = state.state.file(step.actions, { ...common, name: step.name });
    return;
  }
  const { env } = state.state.meta;
  const id = `link ${lowering.stages.all.indexOf(state)} ${state.commandIndex}`;
  // Both vertices belong to the step that was counted already.
  if (state.commandIndex > 0) state.commandIndex--;
  const linkName = stepName(state, `LINK ${step.text}`, lowering.shown(step.platform), env);
  const copied = scratch().file(step.actions, {
    ...common,
    platform: step.platform,
    name: step.name,
    progressGroup: { id, name: step.name, weak: true },
  });
  const merged = merge([state.state, copied], {
    ...common,
    name: linkName,
    progressGroup: { id, name: step.name, weak: false },
  });
  state.state = state.state.withOutput(merged.output);
}

/**
 * `--checksum` is for what comes from elsewhere, and names one thing.
 * @throws TsbuildError `TSB_DOCKERFILE` with BuildKit's text
 */
function checkChecksum(command: AddCommand | CopyCommand): void {
  if (command.type !== 'add' || command.checksum === '') return;
  const [source, ...others] = command.sources;
  if (source === undefined || others.length > 0)
    throw dockerfileError("checksum can't be specified for multiple sources");
  if (sourceKind(source).kind === 'local') throw dockerfileError('checksum requires HTTP(S) or Git sources');
}

/** COPY and ADD as the history has them: only flags that say something about the files. */
function history(command: AddCommand | CopyCommand): string {
  return [
    command.type.toUpperCase(),
    ...(command.type === 'copy' && command.parents ? ['--parents'] : []),
    ...(command.chown === '' ? [] : [`--chown=${command.chown}`]),
    ...(command.chmod === '' ? [] : [`--chmod=${command.chmod}`]),
    ...command.sources,
    ...command.contents.map(({ path }) => `<<${path}`),
    command.dest,
  ].join(' ');
}

/** What BuildKit does and nobody expects. */
function reportSurprises(lowering: Lowering, command: AddCommand | CopyCommand, dest: string): void {
  const linter = lowering.linter.scoped(command.comments);
  const keyword = command.type.toUpperCase();
  if (command.link && command.chmod !== '') {
    linter.report(surprises.CopyLinkIgnored, command.ranges, [keyword]);
  } else if (command.link && /[^\d:]/.test(command.chown.replaceAll(/\broot\b/g, ''))) {
    linter.report(surprises.CopyLinkNamedOwner, command.ranges, [keyword, command.chown]);
  }
  const parents = command.type === 'copy' && command.parents;
  if (command.sources.length + command.contents.length > 1 && !parents && !/(^|\/)\.?$/.test(dest)) {
    linter.report(surprises.CopyManyIntoFile, command.ranges, [keyword, command.dest]);
  }
}
