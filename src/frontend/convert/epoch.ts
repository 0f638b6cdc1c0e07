import { type EnvList, git, http, loadGraph, marshal, type State } from '../../llb/index.ts';
import type { Platform } from '../../image/index.ts';
import type { Bridge } from '../bridge.ts';
import type { AddCommand, Dockerfile, Stage } from '../dockerfile/types.ts';
import { expandWord } from '../dockerfile/shell/lex.ts';
import { dockerfileError, placed } from '../dockerfile/failure.ts';
import { urlFilename, sourceKind } from './commands/copy-sources.ts';
import type { MainContext } from './main-context.ts';
import type { NamedContexts } from './named-context.ts';

/** Of the years 0 and 9999. */
const [FIRST_SECOND, LAST_SECOND] = [-62_167_219_200, 253_402_300_799] as const;

/** What SOURCE_DATE_EPOCH may refer to. */
export interface EpochScope {
  readonly bridge: Bridge;
  readonly dockerfile: Dockerfile;
  readonly context: MainContext;
  readonly contexts: NamedContexts;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly globalArgs: EnvList;
  readonly platform: Platform;
}

/**
 * The time that SOURCE_DATE_EPOCH stands for, in seconds: a number, `context`, the name of a named context, or of a stage
 * that is `FROM scratch` with one remote ADD. Undefined when the source does not say how old it is.
 * @throws TsbuildError `TSB_DOCKERFILE`
 */
export async function resolveEpoch(value: string, scope: EpochScope): Promise<number | undefined> {
  if (value === '') return undefined;
  if (/^[+-]?\d+$/.test(value)) {
    const seconds = Number(value);
    // RFC 3339, in which configs have their times, knows four digits of a year.
    if (seconds >= FIRST_SECOND && seconds <= LAST_SECOND) return seconds;
    throw dockerfileError(`invalid SOURCE_DATE_EPOCH: ${value}: not between the years 0 and 9999`);
  }
  const source = await findSource(value, scope);
  if (source.state === undefined) return undefined;
  const definition = marshal(source.state, { platform: scope.platform });
  const sources = loadGraph(definition).vertices.filter(({ op }) => op.body?.kind === 'source');
  const body = sources[0]?.op.body;
  if (sources.length !== 1 || body?.kind !== 'source' || !/^(git|https?):\/\//.test(body.identifier)) return undefined;
  return scope.bridge.sourceTime({ definition, name: source.name });
}

async function findSource(
  value: string,
  scope: EpochScope,
): Promise<{ readonly state: State | undefined; readonly name: string }> {
  if (value === 'context') {
    return { state: scope.context.remoteSource, name: '[internal] resolve main build context metadata' };
  }
  const named = scope.contexts.find(value, scope.platform);
  if (named !== undefined) {
    const { state } = await named.load({ platform: scope.platform });
    scope.contexts.settle();
    return { state, name: `[internal] resolve SOURCE_DATE_EPOCH named context ${value}` };
  }
  const stage = scope.dockerfile.stages.find(({ name }) => name.toLowerCase() === value.toLowerCase());
  if (stage === undefined) throw dockerfileError(`invalid SOURCE_DATE_EPOCH: ${value}`);
  return {
    state: placed(stage.ranges, () => stageSource(stage, scope)),
    name: `[internal] resolve SOURCE_DATE_EPOCH source stage ${stage.name}`,
  };
}

function stageSource(stage: Stage, scope: EpochScope): State {
  const { escape } = scope.dockerfile;
  let env = scope.globalArgs.delete('SOURCE_DATE_EPOCH');
  if (expandWord(stage.baseName, env, { escape }).value !== 'scratch') {
    throw dockerfileError('SOURCE_DATE_EPOCH stage must use FROM scratch');
  }
  let found: State | undefined;
  for (const command of stage.commands) {
    if (command.type === 'arg') {
      for (const arg of command.args) {
        const given = scope.buildArgs.get(arg.key);
        const value = given ?? (arg.value === undefined ? undefined : expandWord(arg.value, env, { escape }).value);
        if (value !== undefined) env = env.set(arg.key, value);
      }
    } else if (command.type === 'add') {
      if (found !== undefined) throw dockerfileError('SOURCE_DATE_EPOCH stage must contain exactly one remote ADD');
      const scoped = env;
      found = addSource(command, (word) => expandWord(word, scoped, { escape }).value);
    } else {
      throw dockerfileError(
        `SOURCE_DATE_EPOCH stage does not meet source-only requirements: unsupported ${command.keyword} instruction`,
      );
    }
  }
  if (found === undefined) throw dockerfileError('SOURCE_DATE_EPOCH stage must contain exactly one remote ADD');
  return found;
}

function addSource(command: AddCommand, expand: (word: string) => string): State {
  const [word, ...others] = command.sources;
  if (word === undefined || others.length > 0 || command.contents.length > 0) {
    throw dockerfileError('SOURCE_DATE_EPOCH stage must contain exactly one remote ADD source');
  }
  const source = expand(word);
  const checksum = command.checksum === '' ? '' : expand(command.checksum);
  const kind = sourceKind(source);
  if (kind.kind === 'http') return http(source, { filename: urlFilename(source), checksum });
  if (kind.kind === 'local') {
    throw dockerfileError('SOURCE_DATE_EPOCH stage source must be a single HTTP(S) or Git ADD');
  }
  const { ref } = kind;
  return git(ref.remote, {
    ref: ref.ref,
    subdir: ref.subdir,
    keepGitDir: (command.keepGitDir ?? false) || ref.keepGitDir,
    checksum: checksum || ref.checksum,
    skipSubmodules: ref.submodules === false,
  });
}
