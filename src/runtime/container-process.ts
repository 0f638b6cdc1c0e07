import type { ContainerConfig } from '../image/index.ts';
import { TsbuildError } from '../util/index.ts';

/** PATH where an image sets none, as Docker has it. */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What the user asked for; absent means the image decides. */
export interface ProcessRequest {
  readonly config: ContainerConfig;
  /** Words after the image: they replace CMD. */
  readonly command?: readonly string[];
  /** Replaces ENTRYPOINT and drops the image's CMD; empty takes ENTRYPOINT away. */
  readonly entrypoint?: string;
  /** Content of env files in order, then `-e`: `NAME=value`, or `NAME` to take the caller's. */
  readonly env?: readonly string[];
  readonly callerEnv: Readonly<Record<string, string | undefined>>;
  readonly hostname: string;
  readonly tty: boolean;
}

/**
 * The program and its arguments by the rules of docker run.
 * @throws TsbuildError `TSB_USAGE` when neither the image nor the user names a command
 */
export function argumentsOf(request: ProcessRequest): readonly string[] {
  const { config, entrypoint } = request;
  const command = request.command ?? [];
  const first = entrypoint === undefined ? (config.Entrypoint ?? []) : entrypoint === '' ? [] : [entrypoint];
  const rest = command.length > 0 ? command : entrypoint === undefined ? (config.Cmd ?? []) : [];
  const all = [...first, ...rest];
  if (all.length > 0) return all;
  throw new TsbuildError('TSB_USAGE', 'Cannot run the image: it has no command and none was given', {
    hint: 'name the command after the image',
  });
}

/**
 * The environment: PATH, HOSTNAME and TERM where nothing else sets them, then the image's, then the user's. Of the caller's own
 * environment only variables that the user names come in (CVE-2026-57231: an image names none).
 */
export function environmentOf(request: ProcessRequest): readonly string[] {
  const variables = new Map<string, string>([
    ['PATH', DEFAULT_PATH],
    ['HOSTNAME', request.hostname],
    ...(request.tty ? [['TERM', 'xterm'] as const] : []),
  ]);
  for (const entry of request.config.Env ?? []) {
    const equals = entry.indexOf('=');
    if (equals > 0 && !entry.includes('\0')) variables.set(entry.slice(0, equals), entry.slice(equals + 1));
  }
  for (const entry of request.env ?? []) {
    const equals = entry.indexOf('=');
    if (equals === 0 || entry === '' || entry.includes('\0'))
      throw new TsbuildError('TSB_USAGE', `Cannot use variable "${entry}": expected NAME=value`);
    const name = equals < 0 ? entry : entry.slice(0, equals);
    const value = equals < 0 ? request.callerEnv[name] : entry.slice(equals + 1);
    if (value === undefined) variables.delete(name);
    else variables.set(name, value);
  }
  return [...variables].map(([name, value]) => `${name}=${value}`);
}
