import type { HealthcheckConfig } from '../../image/index.ts';
import type { SourceFile, SourceRange } from '../../util/index.ts';

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

/** What continues a line and keeps a character from meaning something: a backslash, or for Windows paths a backtick. */
export type EscapeToken = '\\' | '`';

/** What `# name=value` lines at the top of a Dockerfile say. */
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

/** Text that follows an instruction, up to a line with its delimiter. */
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

/**
 * Every instruction but FROM, told apart by `type`. Adding one means: here, `parse-instruction.ts`, and
 * `convert/dispatch.ts`.
 */
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

/** `add`, `arg`, `cmd`…: the name of an instruction in lower case. */
export type CommandType = Command['type'];

/** What all instructions have: how they are written, and where. */
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

/** One pair of ENV or LABEL, quotes and variables as written. */
export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** The legacy form `ENV key value`. */
  readonly legacy: boolean;
}

/** One name of an ARG instruction. */
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

/** What COPY and ADD have in common. */
export interface SourcesAndDest {
  /** The last word. */
  readonly dest: string;
  /** The words before it, but for heredocs. */
  readonly sources: readonly string[];
  readonly contents: readonly SourceContent[];
}

/** ADD: as COPY, and from web servers, git repositories and archives. */
export interface AddCommand extends CommandBase, SourcesAndDest {
  readonly type: 'add';
  /** `user[:group]` as written; empty when not given. */
  readonly chown: string;
  /** An octal or symbolic mode as written; empty when not given. */
  readonly chmod: string;
  /** `--link`: the result is a layer of its own, which does not depend on what is beneath. */
  readonly link: boolean;
  readonly exclude: readonly string[];
  /** What a download must have, `sha256:…`, or the commit of a repository. */
  readonly checksum: string;
  /** Undefined when the flag was not given. */
  readonly keepGitDir: boolean | undefined;
  /** Undefined when the flag was not given. */
  readonly unpack: boolean | undefined;
}

/** COPY: files of the context, of another stage, of an image or a named context. */
export interface CopyCommand extends CommandBase, SourcesAndDest {
  readonly type: 'copy';
  /** Never expanded. */
  readonly from: string;
  readonly chown: string;
  readonly chmod: string;
  readonly link: boolean;
  readonly exclude: readonly string[];
  /** `--parents`: keeps the directories of the sources. */
  readonly parents: boolean;
}

/** ARG: build arguments, with their defaults. */
export interface ArgCommand extends CommandBase {
  readonly type: 'arg';
  readonly args: readonly ArgDefinition[];
}

/** ENV: variables of the image and of the steps to come. */
export interface EnvCommand extends CommandBase {
  readonly type: 'env';
  readonly env: readonly KeyValue[];
}

/** LABEL: metadata of the image. */
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

/** RUN: a step. */
export interface RunCommand extends CommandBase, CommandLine {
  readonly type: 'run';
  /** Values of `--mount` as written; `expandCommand` reads them into `mounts`. */
  readonly mountFlags: readonly string[];
  /**
   * What is known without variables: as long as the command is unexpanded only `from` is set (which takes no variables),
   * everything else has its default. Complete after `expandCommand`.
   */
  readonly mounts: readonly Mount[];
  /** `--network`. */
  readonly network: NetworkMode;
  /** `--security`. */
  readonly security: SecurityMode;
  /** `--device`, in their order. */
  readonly devices: readonly Device[];
  /** Names of the flags that were given, sorted. */
  readonly flagsUsed: readonly string[];
}

/** Values of `RUN --network`. */
export type NetworkMode = 'default' | 'none' | 'host';
/** Values of `RUN --security`. */
export type SecurityMode = 'sandbox' | 'insecure';
/** Values of `RUN --mount=type=`. */
export type MountType = 'bind' | 'cache' | 'tmpfs' | 'secret' | 'ssh';
/** Values of `RUN --mount=type=cache,sharing=`. */
export type SharingMode = 'shared' | 'private' | 'locked';

/** One `--mount`. Absent strings are empty; which defaults apply depends on the type and is decided when lowering. */
export interface Mount {
  readonly type: MountType;
  /**
   * A stage, image or named context that is mounted; empty is the context, or nothing for mounts that need no files.
   */
  readonly from: string;
  /** Path within it. */
  readonly source: string;
  /** Where the step finds it. */
  readonly target: string;
  readonly readOnly: boolean;
  /** Bytes, 0 = unlimited. */
  readonly size: number;
  /** `id`. */
  readonly id: string;
  readonly sharing: SharingMode | undefined;
  /** A secret or agent that is missing fails the step. */
  readonly required: boolean;
  /** Name of the variable that a secret is put in. */
  readonly env: string | undefined;
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/** A device that a step asks for. */
export interface Device {
  readonly name: string;
  readonly required: boolean;
}

/** CMD: what a container runs, or the arguments of its ENTRYPOINT. */
export interface CmdCommand extends CommandBase, CommandLine {
  readonly type: 'cmd';
}

/** ENTRYPOINT: what a container runs whatever its arguments are. */
export interface EntrypointCommand extends CommandBase, CommandLine {
  readonly type: 'entrypoint';
}

/** EXPOSE: ports that the image says it listens on. */
export interface ExposeCommand extends CommandBase {
  readonly type: 'expose';
  /** Words as written, sorted. Each must be expanded with `expandWords`, which may make several of it. */
  readonly ports: readonly string[];
}

/** HEALTHCHECK: Docker's probe, which is kept in the image config. */
export interface HealthcheckCommand extends CommandBase {
  readonly type: 'healthcheck';
  /** Times in nanoseconds; what was not given is absent. */
  readonly health: HealthcheckConfig;
}

/** MAINTAINER: deprecated for a label, and still the image's author. */
export interface MaintainerCommand extends CommandBase {
  readonly type: 'maintainer';
  readonly maintainer: string;
}

/** ONBUILD: an instruction for whoever builds on the image. */
export interface OnbuildCommand extends CommandBase {
  readonly type: 'onbuild';
  /** The trigger's text as it goes into the image config, heredoc bodies included. `parseTrigger` reads it back. */
  readonly expression: string;
}

/** SHELL: what runs the shell forms to come. */
export interface ShellCommand extends CommandBase {
  readonly type: 'shell';
  readonly shell: readonly string[];
}

/** STOPSIGNAL: what a container is stopped with. */
export interface StopsignalCommand extends CommandBase {
  readonly type: 'stopsignal';
  /** A name or number as written; checked when lowering, after its variables are replaced. */
  readonly signal: string;
}

/** USER: who runs the steps to come, and the container. */
export interface UserCommand extends CommandBase {
  readonly type: 'user';
  readonly user: string;
}

/** VOLUME: paths that a container keeps outside of its layers. */
export interface VolumeCommand extends CommandBase {
  readonly type: 'volume';
  readonly volumes: readonly string[];
}

/** WORKDIR: where the instructions to come are at; it is made if need be. */
export interface WorkdirCommand extends CommandBase {
  readonly type: 'workdir';
  readonly path: string;
}
