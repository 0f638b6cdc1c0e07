import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  errnoOf,
  fromErrno,
  isTsbuildError,
  messageOf,
  parseStrictJson,
  sanitizeLine,
  TsbuildError,
} from '../util/index.ts';
import { DeviceCatalog } from './catalog.ts';
import { parseSpec } from './parse-spec.ts';
import type { DeviceSpec } from './types.ts';

/** Where vendors and administrators put specifications, the later ones counting more. */
export const defaultSpecDirs: readonly string[] = ['/etc/cdi', '/var/run/cdi'];

/** Larger files are no specifications; those of machines with eight GPUs have some tens of kilobytes. */
const MAX_BYTES = 1 << 20;
const MAX_FILES = 1024;

/**
 * Reads all specifications in the directories: files named `*.json` and `*.yaml`. A directory that does not exist has none; what cannot
 * be read or understood is told about and left out.
 * @param dirs a device of a later directory replaces one of the same name in an earlier one
 */
export async function readDevices(
  dirs: readonly string[],
  onWarning: (message: string) => void,
): Promise<DeviceCatalog> {
  const problems: string[] = [];
  const warn = (message: string): void => {
    problems.push(message);
    onWarning(message);
  };
  const specs: DeviceSpec[][] = [];
  for (const dir of dirs) {
    const found: DeviceSpec[] = [];
    for (const path of listSpecs(dir, warn)) {
      try {
        const bytes = read(path);
        if (bytes !== undefined) found.push(parseSpec(await parse(bytes, path), path));
      } catch (error) {
        if (!isTsbuildError(error)) throw error;
        warn(error.message);
      }
    }
    specs.push(found);
  }
  return new DeviceCatalog(specs, dirs, problems, warn);
}

function listSpecs(dir: string, warn: (message: string) => void): readonly string[] {
  let names: readonly string[];
  try {
    names = readdirSync(dir);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT')
      warn(fromErrno(error, `Cannot read device specifications in ${JSON.stringify(dir)}`, 'TSB_STEP').message);
    return [];
  }
  const found = names.filter((name) => /\.(?:json|yaml)$/.test(name)).toSorted();
  if (found.length > MAX_FILES)
    warn(`Only the first ${MAX_FILES} of ${found.length} device specifications in ${JSON.stringify(dir)} are read`);
  return found.slice(0, MAX_FILES).map((name) => join(dir, name));
}

/** @throws TsbuildError `TSB_STEP`; undefined when the file has gone meanwhile */
function read(path: string): Buffer | undefined {
  const what = `Cannot read device specification ${JSON.stringify(path)}`;
  let fd: number;
  try {
    // Nobody may be at the other end of a pipe.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw fromErrno(error, what, 'TSB_STEP');
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new TsbuildError('TSB_STEP', `${what}: it is not a file`);
    if (stat.size > MAX_BYTES)
      throw new TsbuildError('TSB_STEP', `${what}: it has ${stat.size} bytes, more than the limit of ${MAX_BYTES}`);
    return readFileSync(fd);
  } catch (error) {
    throw fromErrno(error, what, 'TSB_STEP');
  } finally {
    closeSync(fd);
  }
}

/** @throws TsbuildError */
async function parse(bytes: Buffer, path: string): Promise<unknown> {
  const what = `device specification ${JSON.stringify(path)}`;
  if (path.endsWith('.json')) return parseStrictJson(bytes, { what, maxBytes: MAX_BYTES });
  const yaml = await import('yaml');
  try {
    // Few aliases, so that a small file cannot stand for a large tree.
    return yaml.parse(bytes.toString('utf8'), { maxAliasCount: 100, prettyErrors: false, logLevel: 'error' });
  } catch (error) {
    const why = error instanceof RangeError ? 'it is nested too deeply' : sanitizeLine(messageOf(error), 200);
    throw new TsbuildError('TSB_STEP', `Cannot use ${what}: it is not valid YAML: ${why}`, { cause: error });
  }
}
