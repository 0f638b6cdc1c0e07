import { isUtf8 } from 'node:buffer';
import { TsbuildError } from '../util/index.ts';

/**
 * Parses an env file as `docker run --env-file` does: `NAME=value` lines, values verbatim; `NAME` alone takes the caller's
 * variable, if there is one; lines that are empty or begin with `#` are comments.
 * @param callerEnv undefined for a file of labels, where a name alone is one
 * @throws TsbuildError `TSB_USAGE` naming the line
 */
export function parseEnvFile(
  file: string,
  content: Uint8Array,
  callerEnv: Readonly<Record<string, string | undefined>> | undefined,
): readonly string[] {
  const variables: string[] = [];
  if (!isUtf8(content)) throw new TsbuildError('TSB_USAGE', `Cannot read env file "${file}": it is not UTF-8`);
  const lines = new TextDecoder().decode(content).split(/\r?\n/);
  for (const [index, raw] of lines.entries()) {
    const line = raw.trimStart();
    if (line === '' || line.startsWith('#')) continue;
    const equals = line.indexOf('=');
    const name = equals < 0 ? line : line.slice(0, equals);
    const where = `Cannot read env file "${file}", line ${index + 1}`;
    if (name === '') throw new TsbuildError('TSB_USAGE', `${where}: there is no variable name`);
    if (/\s/.test(name)) throw new TsbuildError('TSB_USAGE', `${where}: the name "${name}" contains white space`);
    if (line.includes('\0')) throw new TsbuildError('TSB_USAGE', `${where}: it contains a NUL byte`);
    if (equals >= 0 || callerEnv === undefined) variables.push(line);
    else if (callerEnv[name] !== undefined) variables.push(`${name}=${callerEnv[name]}`);
  }
  return variables;
}
