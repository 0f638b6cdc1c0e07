import { TsbuildError } from '../util/index.ts';

/**
 * Parses an env file as `docker run --env-file` does: `NAME=value` lines, values verbatim; `NAME` alone takes the caller's
 * variable, if there is one; lines that are empty or begin with `#` are comments.
 * @throws TsbuildError `TSB_USAGE` naming the line
 */
export function parseEnvFile(
  file: string,
  text: string,
  callerEnv: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const variables: string[] = [];
  const lines = text.replace(/^\u{feff}/u, '').split(/\r?\n/);
  for (const [index, raw] of lines.entries()) {
    const line = raw.trimStart();
    if (line === '' || line.startsWith('#')) continue;
    const equals = line.indexOf('=');
    const name = equals < 0 ? line : line.slice(0, equals);
    const where = `Cannot read env file "${file}", line ${index + 1}`;
    if (name === '') throw new TsbuildError('TSB_USAGE', `${where}: there is no variable name`);
    if (/\s/.test(name)) throw new TsbuildError('TSB_USAGE', `${where}: the name "${name}" contains white space`);
    if (line.includes('\0')) throw new TsbuildError('TSB_USAGE', `${where}: it contains a NUL byte`);
    if (equals >= 0) variables.push(line);
    else if (callerEnv[name] !== undefined) variables.push(`${name}=${callerEnv[name]}`);
  }
  return variables;
}
