export type {
  AddCommand,
  ArgCommand,
  ArgDefinition,
  CmdCommand,
  Command,
  CommandBase,
  CommandLine,
  CommandType,
  CopyCommand,
  Device,
  Directive,
  Directives,
  Dockerfile,
  DockerfileNode,
  EntrypointCommand,
  EnvCommand,
  EscapeToken,
  ExposeCommand,
  HealthcheckCommand,
  Heredoc,
  InlineFile,
  KeyValue,
  LabelCommand,
  MaintainerCommand,
  Mount,
  MountType,
  NetworkMode,
  OnbuildCommand,
  ParseWarning,
  RunCommand,
  SecurityMode,
  SharingMode,
  ShellCommand,
  SourceContent,
  SourcesAndDest,
  Stage,
  StopsignalCommand,
  UserCommand,
  VolumeCommand,
  WorkdirCommand,
} from './types.ts';
export { expandCommand, expandContents, type WordExpander } from './instructions/expand.ts';
export { parseDockerfile, parseTrigger } from './instructions/stages.ts';
export { detectSyntax, type DirectiveName, parseDirective } from './parser/directives.ts';
export { chompHeredoc } from './parser/heredoc.ts';
export { parseLines, type ParsedLines } from './parser/parse.ts';
export { locateTokens } from './ranges.ts';
export { type Environment, expandWord, type Expansion, expandWords, type LexOptions } from './shell/lex.ts';
export { goQuote } from './text.ts';
