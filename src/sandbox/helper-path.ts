import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkOwned, ownPackage, packageRoot, TsbuildError } from '../util/index.ts';

/** Helpers that were found, by what was given. Who could change one later could have done so before. */
const found = new Map<string | undefined, string>();

/**
 * Where the sandbox helper is: a given path, else this package's own build, else the optional package for this architecture, which must
 * lie in the same installation. Never anything that Node's search path leads to: the helper runs with the caller's rights.
 * @param given what the user chose (TSBUILD_HELPER)
 * @throws TsbuildError `TSB_SANDBOX` when there is none, or when others than root, the caller and tsbuild's owner could change it.
 */
export function findHelper(given?: string): string {
  const known = found.get(given) ?? lookForHelper(given);
  found.set(given, known);
  return known;
}

function lookForHelper(given: string | undefined): string {
  const platform = `linux-${process.arch}`;
  for (const candidate of given === undefined
    ? [fromBuild(platform), fromPackage(`tsbuildkit-${platform}`)]
    : [given]) {
    if (candidate === undefined || !existsSync(candidate)) continue;
    checkOwned(candidate, 'the sandbox helper');
    return candidate;
  }
  throw new TsbuildError(
    'TSB_SANDBOX',
    given === undefined
      ? `Cannot find the sandbox helper for ${platform}`
      : `Cannot use the sandbox helper "${given}": it does not exist`,
    { hint: 'install tsbuild with its optional dependencies, or compile the helper: sh scripts/build-native.sh' },
  );
}

function fromBuild(platform: string): string {
  return join(packageRoot(), 'dist', 'native', platform, 'tsbuild-helper');
}

function fromPackage(name: string): string | undefined {
  const directory = ownPackage(name);
  return directory === undefined ? undefined : join(directory, 'tsbuild-helper');
}

/**
 * The compiled seccomp filter for this machine.
 * @throws TsbuildError `TSB_SANDBOX` for architectures without one: no step runs unfiltered by accident.
 */
export function findSeccompFilter(): string {
  const path = join(packageRoot(), 'native', 'seccomp', `${process.arch}.bpf`);
  if (existsSync(path)) return path;
  throw new TsbuildError('TSB_SANDBOX', `Cannot find the seccomp filter for ${process.arch}`, {
    hint: 'steps run on x64 and arm64',
  });
}
