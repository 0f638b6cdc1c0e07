export {
  type AddCommand,
  type ArgCommand,
  type ArgDefinition,
  type CmdCommand,
  type Command,
  type CommandBase,
  type CommandLine,
  type CommandType,
  type CopyCommand,
  type Device,
  type Directive,
  type Directives,
  type Dockerfile,
  type DockerfileNode,
  type EntrypointCommand,
  type EnvCommand,
  type EscapeToken,
  type ExposeCommand,
  type HealthcheckCommand,
  type Heredoc,
  type InlineFile,
  type KeyValue,
  type LabelCommand,
  type MaintainerCommand,
  type Mount,
  type MountType,
  type NetworkMode,
  type OnbuildCommand,
  type ParseWarning,
  type RunCommand,
  type SecurityMode,
  type SharingMode,
  type ShellCommand,
  type SourceContent,
  type SourcesAndDest,
  type Stage,
  type StopsignalCommand,
  type UserCommand,
  type VolumeCommand,
  type WorkdirCommand,
} from './instructions/types.ts';
export { expandCommand, expandContents, type WordExpander } from './instructions/expand.ts';
export { parseDockerfile, parseTrigger, typeInstructions } from './instructions/stages.ts';
export { detectSyntax, type DirectiveName, DirectiveScanner, parseDirective } from './parser/directives.ts';
export { chompHeredoc, parseHeredocWord } from './parser/heredoc.ts';
export { parseLines, type ParsedLines } from './parser/parse.ts';
export { locateTokens } from './ranges.ts';
export { type Environment, expandWord, type Expansion, expandWords, type LexOptions } from './shell/lex.ts';
export { compareBytes, goQuote } from './text.ts';
export { didYouMean, suggestWord } from './suggestion.ts';
