import { scratch, type State } from '../../llb/index.ts';
import type { ImageConfig, Platform } from '../../image/index.ts';
import type { SourceRange } from '../../util/index.ts';
import type { ArgDefinition, Command, Stage } from '../dockerfile/types.ts';
import { dockerfileError } from '../dockerfile/failure.ts';
import { copyConfig, emptyImage } from './image-config.ts';
import type { NamedContext } from './named-context.ts';
import { OutlineCapture } from './outline.ts';

/** A command with the stages that it reads. */
export interface StageCommand {
  readonly command: Command;
  /** For RUN one per `--mount`, for COPY the one of `--from`. */
  readonly sources: readonly StageState[];
  readonly isOnbuild: boolean;
}

/** A stage while it is lowered: what its commands so far have made of it. */
export class StageState {
  readonly stage: Stage;
  /** The base with variables expanded, later the full reference. */
  baseName: string;
  /** As progress shows it; empty for the only stage. */
  name: string;
  /** An image or context that only a `--from` names, without a FROM. */
  readonly unregistered: boolean;

  state: State = scratch();
  image: ImageConfig;
  /** What the stage started from; never changes. */
  baseImage: ImageConfig | undefined;
  platform: Platform | undefined;
  base: StageState | undefined;
  namedContext: NamedContext | undefined;

  commands: StageCommand[] = [];
  readonly deps: Map<StageState, Command> = new Map();
  /** Arguments declared so far with the last value of each, for the history of RUN. */
  buildArgs: Map<string, ArgDefinition> = new Map();
  /** Paths that the stage reads from the build context. */
  readonly contextPaths: Set<string> = new Set();
  /** Paths that others read from this stage; a stage built on another shares its set. */
  paths: Set<string> = new Set();

  resolved = false;
  onbuildDone = false;
  dispatched = false;
  ignoreCache = false;
  /** Whether a WORKDIR of this file came before. */
  hasWorkdir = false;
  commandTotal = 0;
  commandIndex = 0;
  commandIsOnbuild = false;
  outline: OutlineCapture;
  /** Whether a CMD came already, which ENTRYPOINT then leaves alone. */
  hasCmd = false;

  constructor(
    stage: Stage,
    options: { readonly baseName?: string; readonly unregistered?: boolean; readonly outline?: OutlineCapture },
  ) {
    this.stage = stage;
    this.baseName = options.baseName ?? stage.baseName;
    this.name = stage.name;
    this.unregistered = options.unregistered ?? false;
    this.outline = new OutlineCapture(options.outline);
    this.image = emptyImage({ os: '', architecture: '' });
    this.image.config = {};
  }

  /** How many texts a stage that is built on this one takes over: each is held once more. */
  get inheritable(): { readonly listed: number; readonly named: number } {
    const { Env = [], Labels = {}, ExposedPorts = {}, Volumes = {} } = this.image.config;
    const names = [Labels, ExposedPorts, Volumes].reduce((count, each) => count + Object.keys(each ?? {}).length, 0);
    return { listed: this.image.history.length, named: names + (Env?.length ?? 0) + this.buildArgs.size };
  }

  /** Takes over what the stage it is built on has become. */
  inherit(): void {
    const { base } = this;
    if (base === undefined) return;
    this.state = base.state;
    this.platform = base.platform;
    this.image = copyConfig(base.image);
    delete this.image.config.OnBuild;
    this.baseImage = base.baseImage;
    this.paths = base.paths;
    this.hasWorkdir = base.hasWorkdir;
    this.buildArgs = new Map(base.buildArgs);
  }
}

/** All stages in order: those of the file, then those that only a `--from` names. */
export class StageTable {
  readonly all: StageState[] = [];
  readonly #byName = new Map<string, StageState>();

  add(state: StageState): void {
    this.all.push(state);
    const base = this.#byName.get(state.baseName);
    if (base !== undefined) {
      state.base = base;
      state.outline = new OutlineCapture(base.outline);
    }
    if (state.stage.name !== '') this.#byName.set(state.stage.name.toLowerCase(), state);
  }

  /** The last stage of that name so far; names are compared without case. */
  byName(name: string): StageState | undefined {
    return this.#byName.get(name.toLowerCase());
  }

  byIndex(index: number): StageState {
    const found = this.all[index];
    if (found === undefined || found.unregistered) throw dockerfileError(`invalid stage index ${index}`);
    return found;
  }

  names(): readonly string[] {
    return this.all.map((state) => state.name).filter((name) => name !== '');
  }
}

/** A stage for an image or context that a `--from` names. */
export function unregisteredStage(baseName: string, ranges: readonly SourceRange[]): StageState {
  const stage: Stage = {
    name: '',
    baseName,
    platform: '',
    keyword: 'FROM',
    docComment: '',
    original: '',
    ranges,
    comments: [],
    commands: [],
  };
  return new StageState(stage, { unregistered: true });
}

/** The stage and all that it needs, itself first. */
export function reachableFrom(target: StageState): ReadonlySet<StageState> {
  const found = new Set([target]);
  // A set is iterated over what is added on the way, too.
  for (const state of found) {
    if (state.base) found.add(state.base);
    for (const dep of state.deps.keys()) found.add(dep);
  }
  return found;
}
