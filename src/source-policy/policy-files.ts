import { closeSync, openSync, readSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { fromErrno, TsbuildError } from '../util/index.ts';
import { MAX_POLICY_BYTES, type SourcePolicy } from './policy.ts';
import { readSourcePolicy } from './read-policy.ts';
import { SourcePolicies } from './source-policies.ts';

/** Where buildx looks for a policy. */
const VARIABLE = 'EXPERIMENTAL_BUILDKIT_SOURCE_POLICY';

/**
 * The files with the policies of a build, absolute: that which the environment names first, since all of them hold.
 * @param given as typed
 */
export function policyFiles(
  cwd: string,
  env: Readonly<Record<string, string | undefined>>,
  given: readonly string[] = [],
): readonly string[] {
  if (given.includes('')) throw new TsbuildError('TSB_USAGE', 'Cannot use an empty path as a source policy');
  const inherited = env[VARIABLE] ?? '';
  return [...(inherited === '' ? [] : [inherited]), ...given].map((path) => resolve(cwd, path));
}

/**
 * Reads policies, and looks at their patterns before anything is done.
 * @throws TsbuildError `TSB_POLICY` for what is none, `TSB_NOT_FOUND`, `TSB_USAGE` and others for what cannot be read
 */
export function readSourcePolicies(paths: readonly string[]): readonly SourcePolicy[] {
  return new SourcePolicies(paths.map((path) => readSourcePolicy(read(path), basename(path)))).given;
}

/** The file, which may be a pipe of a shell. */
function read(path: string): Uint8Array {
  const doing = `Cannot read source policy ${JSON.stringify(path)}`;
  const chunks: Uint8Array[] = [];
  let fd: number | undefined;
  try {
    fd = openSync(path, 'r');
    for (let size = 0; ;) {
      const chunk = Buffer.alloc(64 * 1024);
      const count = readSync(fd, chunk);
      if (count === 0) return Buffer.concat(chunks);
      size += count;
      if (size > MAX_POLICY_BYTES)
        throw new TsbuildError('TSB_USAGE', `${doing}: it has more than ${MAX_POLICY_BYTES} bytes`);
      chunks.push(chunk.subarray(0, count));
    }
  } catch (error) {
    throw fromErrno(error, doing, 'TSB_USAGE');
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
