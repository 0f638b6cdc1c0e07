import { type EnvList, LateOutput, type NodeLocation, type PbRange, type SourceInfo, State } from '../../llb/index.ts';
import type { PatternMatcher } from '../../patterns/index.ts';
import type { Platform } from '../../image/index.ts';
import type { SourceRange } from '../../util/index.ts';
import type { Bridge } from '../bridge.ts';
import type { Dockerfile } from '../dockerfile/types.ts';
import type { Linter } from '../lint/linter.ts';
import type { NamedContexts } from './named-context.ts';
import type { CompileOptions } from './options.ts';
import type { OutlineCapture } from './outline.ts';
import { StageTable } from './stage-state.ts';
import type { TextRoom } from './text-room.ts';
import type { Usage } from './usage.ts';

/** All that the lowering of one platform shares between its stages. */
export class Lowering {
  readonly bridge: Bridge;
  readonly options: CompileOptions;
  readonly dockerfile: Dockerfile;
  readonly linter: Linter;
  readonly usage: Usage;
  /** For all text that is kept of the expanded Dockerfile. */
  readonly room: TextRoom;
  readonly contexts: NamedContexts;
  readonly ignore: PatternMatcher | undefined;
  readonly sourceInfo: SourceInfo;
  readonly platform: Platform;
  /** No platform was asked for: the base image's own counts. */
  readonly implicitPlatform: boolean;
  readonly multiPlatform: boolean;
  /** With SOURCE_DATE_EPOCH resolved. */
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly globalArgs: EnvList;
  readonly outline: OutlineCapture;
  /** Seconds. */
  readonly epoch: number | undefined;
  readonly stages: StageTable = new StageTable();
  /** The build context. Which of its paths are needed is known when everything is lowered. */
  readonly context: LateOutput = new LateOutput();

  constructor(parts: LoweringParts) {
    this.bridge = parts.bridge;
    this.options = parts.options;
    this.dockerfile = parts.dockerfile;
    this.linter = parts.linter;
    this.usage = parts.usage;
    this.room = parts.room;
    this.contexts = parts.contexts;
    this.ignore = parts.ignore;
    this.sourceInfo = parts.sourceInfo;
    this.platform = parts.platform;
    this.implicitPlatform = parts.implicitPlatform;
    this.multiPlatform = parts.multiPlatform;
    this.buildArgs = parts.buildArgs;
    this.globalArgs = parts.globalArgs;
    this.outline = parts.outline;
    this.epoch = parts.epoch;
  }

  get contextState(): State {
    return State.of(this.context);
  }

  /** The epoch as LLB has it, in nanoseconds. */
  get createdTime(): bigint | undefined {
    return this.epoch === undefined ? undefined : BigInt(Math.trunc(this.epoch)) * 1_000_000_000n;
  }

  location(ranges: readonly SourceRange[]): NodeLocation {
    return { info: this.sourceInfo, ranges: ranges.map(toPbRange) };
  }

  /** The platform that names of steps show, if any. */
  shown(platform: Platform | undefined): Platform | undefined {
    return this.multiPlatform ? platform : undefined;
  }
}

/** What has to be known before lowering begins. */
export type LoweringParts = Pick<
  Lowering,
  | 'bridge'
  | 'options'
  | 'dockerfile'
  | 'linter'
  | 'usage'
  | 'room'
  | 'contexts'
  | 'ignore'
  | 'sourceInfo'
  | 'platform'
  | 'implicitPlatform'
  | 'multiPlatform'
  | 'buildArgs'
  | 'globalArgs'
  | 'outline'
  | 'epoch'
>;

function toPbRange(range: SourceRange): PbRange {
  return { start: { line: range.startLine, character: 0 }, end: { line: range.endLine, character: 0 } };
}
