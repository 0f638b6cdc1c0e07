import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TsbuildError } from '../util/index.ts';

/** Root of the package: sources lie two folders below it, bundles in dist/ or dist/chunks/. */
function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json')) && directory !== '/') directory = dirname(directory);
  return directory;
}

/**
 * Where the sandbox helper is: a given path, else the optional package for this architecture, else this package's build.
 * @param given what the user chose (TSBUILD_HELPER)
 * @throws TsbuildError `TSB_SANDBOX` when there is none.
 */
export function findHelper(given?: string): string {
  const platform = `linux-${process.arch}`;
  const candidates = [given, fromPackage(`tsbuildkit-${platform}`), fromBuild(platform)];
  for (const candidate of given === undefined ? candidates : [given])
    if (candidate !== undefined && existsSync(candidate)) return candidate;
  throw new TsbuildError(
    'TSB_SANDBOX',
    given === undefined
      ? `Cannot find the sandbox helper for ${platform}`
      : `Cannot use the sandbox helper "${given}": it does not exist`,
    { hint: 'install tsbuild with its optional dependencies, or compile the helper: sh scripts/build-native.sh' },
  );
}

function fromPackage(name: string): string | undefined {
  try {
    return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), 'tsbuild-helper');
  } catch {
    return undefined;
  }
}

function fromBuild(platform: string): string {
  return join(packageRoot(), 'dist', 'native', platform, 'tsbuild-helper');
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
