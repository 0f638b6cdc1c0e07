import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { checkOwned, ownPackage, TsbuildError } from '../util/index.ts';

/** A C function with integer and pointer arguments only. */
export type NativeFunction = (
  ...args: readonly (number | bigint | string | Uint8Array | Int32Array | null)[]
) => number;

/** What is used of koffi. */
export interface Koffi {
  load(path: null): { func(name: string, result: string, parameters: readonly string[]): NativeFunction };
  errno(): number;
}

/**
 * Loads koffi's compiled module from its path. koffi's own loader asks Node's resolver, for which `$NODE_PATH` and
 * `~/.node_modules` count, and costs five times as much (7 ms) for functions that are not used here.
 * @throws TsbuildError as {@link koffiPath}; an error of the dynamic linker
 */
export function loadKoffi(): Koffi {
  return createRequire(import.meta.url)(koffiPath()) as Koffi;
}

/**
 * The compiled module that was installed with tsbuild.
 * @throws TsbuildError `TSB_SANDBOX` when there is none, or somebody else could change it
 */
export function koffiPath(): string {
  const koffi = ownPackage('koffi');
  const file = koffi === undefined ? undefined : modulePaths(koffi).find((path) => existsSync(path));
  if (file === undefined) {
    throw new TsbuildError('TSB_SANDBOX', 'koffi is not installed beside tsbuild', {
      hint: 'install tsbuild with its optional dependencies (npm install --include=optional)',
    });
  }
  checkOwned(file, 'the system call bindings');
  return file;
}

/** Where koffi has its module: a package per platform beside it or in it, or what it compiled itself. */
function modulePaths(koffi: string): readonly string[] {
  const platform = `@koromix/koffi-linux-${process.arch}`;
  const build = `${usesMusl() ? 'musl' : 'linux'}_${process.arch === 'riscv64' ? 'riscv64d' : process.arch}`;
  return [join(dirname(koffi), platform), join(koffi, 'node_modules', platform), join(koffi, 'build/koffi')].map(
    (folder) => join(folder, build, 'koffi.node'),
  );
}

/** Whether this Node was linked against musl: its interpreter stands at the start of the program. */
function usesMusl(): boolean {
  const start = Buffer.alloc(4096);
  const fd = openSync(process.execPath, 'r');
  try {
    readSync(fd, start, 0, start.length, 0);
  } finally {
    closeSync(fd);
  }
  return start.includes('/ld-musl-');
}
