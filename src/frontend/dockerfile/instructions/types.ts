import type { HealthcheckConfig } from '../../../image/index.ts';
import type { SourceFile, SourceRange } from '../../../util/index.ts';

/**
 * The typed instruction model of a Dockerfile, as `parseDockerfile` returns it. Everything is plain readonly data: words are as
 * written (quotes, escapes and `$variables` untouched) until `expandCommand` makes an expanded copy.
 */

/** A whole Dockerfile: its stages in order, and the ARG instructions before the first FROM. */
export interface Dockerfile {
  readonly file: SourceFile;
  /** Values of the `# syntax=`, `# escape=` and `# check=` directives. */
  readonly directives: Directives;
  /** Escape and line continuation character, for every later `expandWord`. */
  readonly escape: EscapeToken;
  readonly metaArgs: readonly ArgCommand[];
  readonly stages: readonly Stage[];
  /** The syntax tree that the above was read from. */
  readonly nodes: readonly DockerfileNode[];
  readonly warnings: readonly ParseWarning[];
}

export type EscapeToken = '\\' | '`';

export interface Directives {
  readonly syntax?: Directive;
  readonly escape?: Directive;
  readonly check?: Directive;
}

/** A parser directive. `value` is all that stands behind `=`, trimmed. */
export interface Directive {
  readonly value: string;
  readonly ranges: readonly SourceRange[];
}

/** What the parser itself warns of: an empty line inside a continued instruction. */
export interface ParseWarning {
  readonly rule: 'NoEmptyContinuation';
  readonly message: string;
  readonly ranges: readonly SourceRange[];
}

/** One instruction before typing. */
export interface DockerfileNode {
  /** Instruction name as written, e.g. `copy`. */
  readonly keyword: string;
  /** Leading `--flags`, unquoted and unescaped, in order. */
  readonly flags: readonly string[];
  /** Words; for ENV and LABEL triples of key, value and `=` (or an empty string for the legacy form). */
  readonly args: readonly string[];
  /** Whether the arguments were a JSON array. */
  readonly json: boolean;
  /** The instruction's text with continuations joined, without heredoc bodies. */
  readonly original: string;
  readonly heredocs: readonly Heredoc[];
  /** First and last line, from 1, heredoc bodies included; 0 for a nested instruction. */
  readonly startLine: number;
  readonly endLine: number;
  /** The comment lines above, without `#`, trimmed. */
  readonly comments: readonly string[];
  /** The nested instruction of ONBUILD. */
  readonly child?: DockerfileNode;
}

export interface Heredoc {
  readonly name: string;
  /** False when any part of the delimiter was quoted. */
  readonly expand: boolean;
  /** `<<-`: leading tabs of the body are dropped, see `chompHeredoc`. */
  readonly chomp: boolean;
  readonly fd: number;
  /** The body as written, every line with its line ending. */
  readonly content: string;
}

/** One build stage: a FROM and the commands below it. */
export interface Stage {
  /** Lower-cased name, or an empty string. */
  readonly name: string;
  /** The base image or stage as written, unexpanded. */
  readonly baseName: string;
  /** Value of `--platform`, unexpanded, or an empty string. */
  readonly platform: string;
  /** The FROM keyword as written. */
  readonly keyword: string;
  /** Text behind the stage's name in the comment above, or an empty string. */
  readonly docComment: string;
  /** The FROM instruction's text. */
  readonly original: string;
  /** One range for each physical line of the FROM. */
  readonly ranges: readonly SourceRange[];
  readonly comments: readonly string[];
  readonly commands: readonly Command[];
}

export type Command =
  | AddCommand
  | ArgCommand
  | CmdCommand
  | CopyCommand
  | EntrypointCommand
  | EnvCommand
  | ExposeCommand
  | HealthcheckCommand
  | LabelCommand
  | MaintainerCommand
  | OnbuildCommand
  | RunCommand
  | ShellCommand
  | StopsignalCommand
  | UserCommand
  | VolumeCommand
  | WorkdirCommand;

export type CommandType = Command['type'];

export interface CommandBase {
  /** Instruction name as written, e.g. `copy`. */
  readonly keyword: string;
  /** The instruction's text, trimmed, continuations joined, without heredoc bodies. */
  readonly original: string;
  /** One range for each physical line, heredoc bodies included. Empty for a command parsed from an ONBUILD trigger. */
  readonly ranges: readonly SourceRange[];
  /** The comment lines directly above. */
  readonly comments: readonly string[];
}

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** The legacy form `ENV key value`. */
  readonly legacy: boolean;
}

export interface ArgDefinition {
  readonly key: string;
  /** The default, or undefined when there is none. */
  readonly value: string | undefined;
  /** Text behind the key in the comment above, or an empty string. */
  readonly docComment: string;
}

/** A file given inline by a heredoc of COPY or ADD. */
export interface SourceContent {
  /** The file's name: the heredoc's delimiter. */
  readonly path: string;
  readonly data: string;
  readonly expand: boolean;
}

export interface SourcesAndDest {
  readonly dest: string;
  readonly sources: readonly string[];
  readonly contents: readonly SourceContent[];
}

export interface AddCommand extends CommandBase, SourcesAndDest {
  readonly type: 'add';
  readonly chown: string;
  readonly chmod: string;
  readonly link: boolean;
  readonly exclude: readonly string[];
  readonly checksum: string;
  /** Undefined when the flag was not given. */
  readonly keepGitDir: boolean | undefined;
  /** Undefined when the flag was not given. */
  readonly unpack: boolean | undefined;
}

export interface CopyCommand extends CommandBase, SourcesAndDest {
  readonly type: 'copy';
  /** Never expanded. */
  readonly from: string;
  readonly chown: string;
  readonly chmod: string;
  readonly link: boolean;
  readonly exclude: readonly string[];
  readonly parents: boolean;
}

export interface ArgCommand extends CommandBase {
  readonly type: 'arg';
  readonly args: readonly ArgDefinition[];
}

export interface EnvCommand extends CommandBase {
  readonly type: 'env';
  readonly env: readonly KeyValue[];
}

export interface LabelCommand extends CommandBase {
  readonly type: 'label';
  readonly labels: readonly KeyValue[];
}

/** A heredoc of RUN, CMD or ENTRYPOINT. */
export interface InlineFile {
  readonly name: string;
  readonly data: string;
  readonly chomp: boolean;
}

/** A command line in exec form, or one string that the shell gets. */
export interface CommandLine {
  readonly cmdLine: readonly string[];
  readonly files: readonly InlineFile[];
  /** True for the shell form. */
  readonly prependShell: boolean;
}

export interface RunCommand extends CommandBase, CommandLine {
  readonly type: 'run';
  /** Values of `--mount` as written; `expandCommand` reads them into `mounts`. */
  readonly mountFlags: readonly string[];
  /**
   * What is known without variables: as long as the command is unexpanded only `from` is set (which takes no variables),
   * everything else has its default. Complete after `expandCommand`.
   */
  readonly mounts: readonly Mount[];
  readonly network: NetworkMode;
  readonly security: SecurityMode;
  readonly devices: readonly Device[];
  /** Names of the flags that were given, sorted. */
  readonly flagsUsed: readonly string[];
}

export type NetworkMode = 'default' | 'none' | 'host';
export type SecurityMode = 'sandbox' | 'insecure';
export type MountType = 'bind' | 'cache' | 'tmpfs' | 'secret' | 'ssh';
export type SharingMode = 'shared' | 'private' | 'locked';

/** One `--mount`. Absent strings are empty; which defaults apply depends on the type and is decided when lowering. */
export interface Mount {
  readonly type: MountType;
  readonly from: string;
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** Bytes, 0 = unlimited. */
  readonly size: number;
  /** `id`. */
  readonly id: string;
  readonly sharing: SharingMode | undefined;
  readonly required: boolean;
  /** Name of the variable that a secret is put in. */
  readonly env: string | undefined;
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

export interface Device {
  readonly name: string;
  readonly required: boolean;
}

export interface CmdCommand extends CommandBase, CommandLine {
  readonly type: 'cmd';
}

export interface EntrypointCommand extends CommandBase, CommandLine {
  readonly type: 'entrypoint';
}

export interface ExposeCommand extends CommandBase {
  readonly type: 'expose';
  /** Words as written, sorted. Each must be expanded with `expandWords`, which may make several of it. */
  readonly ports: readonly string[];
}

export interface HealthcheckCommand extends CommandBase {
  readonly type: 'healthcheck';
  /** Times in nanoseconds; what was not given is absent. */
  readonly health: HealthcheckConfig;
}

export interface MaintainerCommand extends CommandBase {
  readonly type: 'maintainer';
  readonly maintainer: string;
}

export interface OnbuildCommand extends CommandBase {
  readonly type: 'onbuild';
  /** The trigger's text as it goes into the image config, heredoc bodies included. `parseTrigger` reads it back. */
  readonly expression: string;
}

export interface ShellCommand extends CommandBase {
  readonly type: 'shell';
  readonly shell: readonly string[];
}

export interface StopsignalCommand extends CommandBase {
  readonly type: 'stopsignal';
  readonly signal: string;
}

export interface UserCommand extends CommandBase {
  readonly type: 'user';
  readonly user: string;
}

export interface VolumeCommand extends CommandBase {
  readonly type: 'volume';
  readonly volumes: readonly string[];
}

export interface WorkdirCommand extends CommandBase {
  readonly type: 'workdir';
  readonly path: string;
}
