import type { HealthcheckConfig, ImageConfig } from '../../../image/index.ts';
import type { CmdCommand, EntrypointCommand, HealthcheckCommand, ShellCommand } from '../../dockerfile/types.ts';
import { goDuration, goList, goQuotedList } from '../go-format.ts';
import { addHistory } from '../image-config.ts';
import type { Lowering } from '../lowering.ts';
import type { StageState } from '../stage-state.ts';

/** A shell-form command line behind the shell that SHELL or the operating system says. */
export function withShell(image: ImageConfig, args: readonly string[]): readonly string[] {
  const own = image.config.Shell ?? [];
  const shell = own.length > 0 ? own : image.os === 'windows' ? ['cmd', '/S', '/C'] : ['/bin/sh', '-c'];
  return [...shell, args.join(' ')];
}

/**
 * CMD, in the shell form behind the shell that is in force here. `ArgsEscaped` says that nothing is left to be
 * quoted (Windows).
 */
export function lowerCmd(lowering: Lowering, state: StageState, command: CmdCommand): void {
  const args = command.prependShell ? withShell(state.image, command.cmdLine) : command.cmdLine;
  setList(state.image, 'Cmd', args);
  state.image.config.ArgsEscaped = true;
  state.hasCmd = true;
  addHistory(state.image, `CMD ${goQuotedList(args)}`, lowering);
}

/** ENTRYPOINT drops a CMD that comes from the base image; one of the same stage stays. */
export function lowerEntrypoint(lowering: Lowering, state: StageState, command: EntrypointCommand): void {
  const args = command.prependShell ? withShell(state.image, command.cmdLine) : command.cmdLine;
  setList(state.image, 'Entrypoint', args);
  if (!state.hasCmd) delete state.image.config.Cmd;
  addHistory(state.image, `ENTRYPOINT ${goQuotedList(args)}`, lowering);
}

/** An empty list takes the inherited one away: `CMD []`. */
function setList(image: ImageConfig, key: 'Cmd' | 'Entrypoint', args: readonly string[]): void {
  if (args.length > 0) image.config[key] = [...args];
  else delete image.config[key];
}

/** HEALTHCHECK, which only docker acts on; the OCI config keeps it as an extension. */
export function lowerHealthcheck(lowering: Lowering, state: StageState, command: HealthcheckCommand): void {
  state.image.config.Healthcheck = command.health;
  addHistory(state.image, `HEALTHCHECK ${describeHealthcheck(command.health)}`, lowering);
}

/** Go's `%+v` of the config. */
function describeHealthcheck(health: HealthcheckConfig): string {
  const { Test = [], Interval = 0, Timeout = 0, StartPeriod = 0, StartInterval = 0, Retries = 0 } = health;
  const times = `Interval:${goDuration(Interval)} Timeout:${goDuration(Timeout)} StartPeriod:${goDuration(StartPeriod)} StartInterval:${goDuration(StartInterval)}`;
  return `{Test:${goList(Test)} ${times} Retries:${Retries}}`;
}

/** SHELL, for the shell forms to come and for ONBUILD triggers of other builds. */
export function lowerShell(lowering: Lowering, state: StageState, command: ShellCommand): void {
  state.image.config.Shell = [...command.shell];
  addHistory(state.image, `SHELL ${goList(command.shell)}`, lowering);
}
