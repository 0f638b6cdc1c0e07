import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseEnvFile } from '../../runtime/index.ts';
import { fromErrno } from '../../util/index.ts';
import type { CliContext } from '../context.ts';

/** `--env-file`, in docker's form. */
export function readEnvFile(context: CliContext, file: string): readonly string[] {
  try {
    return parseEnvFile(file, readFileSync(resolve(context.cwd, file)), context.env);
  } catch (error) {
    throw fromErrno(error, `Cannot read env file ${JSON.stringify(file)}`, 'TSB_USAGE');
  }
}
