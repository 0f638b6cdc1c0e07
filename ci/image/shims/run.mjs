// What the shims share: starting tsbuild in place of the program that was called, and what it leaves behind.
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from './flags.mjs';

/**
 * @typedef {object} Translation what to do for a command line of another program
 * @property {readonly string[]} args for tsbuild; none: nothing is to be done
 * @property {readonly string[]} [notes] what was asked for and is not done, a line each
 * @property {Readonly<Record<string, string>>} [environment] besides the own
 * @property {string} [stdin] path of the file that standard input comes from
 * @property {(metadata: Readonly<Record<string, unknown>>) => void} [finish] gets the metadata of a build that succeeded
 */

/**
 * Translates, runs, and gives the exit code: tsbuild's own, 128 and its number for a signal, 2 for wrong usage.
 * @param {string} name of the program that was called
 * @param {(scratch: string) => Translation} translate gets a directory that is there until the end
 */
export async function stand(name, translate) {
  const scratch = mkdtempSync(join(tmpdir(), 'tsbuild-shim-'));
  try {
    const { args, notes = [], environment = {}, stdin, finish } = translate(scratch);
    for (const note of notes) process.stderr.write(`${name}: ${note}\n`);
    if (args.length === 0) return 0;
    const metadata = join(scratch, 'metadata.json');
    const code = await start(finish === undefined ? args : [...args, '--metadata-file', metadata], environment, stdin);
    if (code === 0) finish?.(JSON.parse(readFileSync(metadata, 'utf8')));
    return code;
  } catch (error) {
    process.stderr.write(`${name}: ${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof UsageError && error.hint !== undefined) process.stderr.write(`hint: ${error.hint}\n`);
    return error instanceof UsageError ? 2 : 1;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/**
 * @param {readonly string[]} args
 * @param {Readonly<Record<string, string>>} environment
 * @param {string | undefined} stdin
 * @returns {Promise<number>}
 */
async function start(args, environment, stdin) {
  const input = stdin === undefined ? 'inherit' : openSync(stdin, 'r');
  const child = spawn('tsbuild', args, {
    stdio: [input, 'inherit', 'inherit'],
    env: { ...process.env, ...environment },
  });
  if (typeof input === 'number') closeSync(input);
  // Whoever stops a container signals its first process, which is this one.
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']))
    process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}
