import { existsSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TsbuildError } from './errors.ts';

let foundRoot: string | undefined;

/** Root of tsbuild's own package: sources lie two folders below it, bundles in dist/. */
export function packageRoot(): string {
  return (foundRoot ??= findRoot());
}

function findRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'package.json')) && directory !== '/') directory = dirname(directory);
  return directory;
}

/**
 * Directory of a package that was installed together with tsbuild: in its own `node_modules`, or in one that tsbuild itself lies in.
 * Computed from tsbuild's own path. Node's resolver would also look in `$NODE_PATH`, `~/.node_modules` and every directory above,
 * where whoever writes there could plant a program.
 * @returns a path without symbolic links; undefined when there is no such package
 */
export function ownPackage(name: string, root: string = packageRoot()): string | undefined {
  for (const folder of installTree(root)) {
    const directory = join(folder, name);
    if (existsSync(join(directory, 'package.json'))) return realpathSync.native(directory);
  }
  return undefined;
}

/** The folders of packages of one installation, the innermost first. */
function installTree(root: string): readonly string[] {
  const folders = [join(root, 'node_modules')];
  for (let at = dirname(root); at !== '/'; at = dirname(at)) if (at.endsWith(`${sep}node_modules`)) folders.push(at);
  return folders;
}

/**
 * Refuses a program that somebody could have changed who could not change tsbuild itself. A file and its directory (all
 * directories below tsbuild's package or installation) must belong to root, to the caller or to the owner of tsbuild, and be writable for
 * no one else: not for all (a sticky directory excepted), nor for a group, unless tsbuild is writable for that group, too.
 * @param path an existing file that is about to be run or loaded
 * @param what names it in the error: 'the sandbox helper'
 * @throws TsbuildError `TSB_SANDBOX`
 */
export function checkOwned(path: string, what: string, root: string = packageRoot()): void {
  const own = statSync(join(root, 'package.json'));
  const file = realpathSync.native(path);
  for (const at of [file, ...directoriesOf(file, root)]) {
    const fault = faultOf(statSync(at), own);
    if (fault === undefined) continue;
    const [says, mend] = fault;
    throw new TsbuildError('TSB_SANDBOX', `Cannot use ${what} "${file}": ${at === file ? 'it' : `"${at}"`} ${says}`, {
      hint: `install tsbuild again, or, if you trust it, type: ${mend} ${at}`,
    });
  }
}

/** The directory of a file, and those above it up to the package or installation that it lies in. */
function directoriesOf(file: string, root: string): readonly string[] {
  const directory = dirname(file);
  const top = [root, ...installTree(root)].find((folder) => file.startsWith(folder + sep)) ?? directory;
  const below = directory === top ? [] : directory.slice(top.length + 1).split(sep);
  return [top, ...below.map((_, at) => join(top, ...below.slice(0, at + 1)))];
}

/** What is wrong with an owner and a mode, and the command that mends it. */
function faultOf(stat: Stats, own: Stats): readonly [says: string, mend: string] | undefined {
  const caller = process.geteuid?.() ?? 0;
  if (![0, caller, own.uid].includes(stat.uid)) return [`belongs to another user (${stat.uid})`, `chown ${caller}`];
  // In a sticky directory nobody but the owner of a file replaces it.
  if (stat.isDirectory() && (stat.mode & 0o1000) !== 0) return undefined;
  if ((stat.mode & 0o002) !== 0) return ['can be changed by every user', 'chmod go-w'];
  const sameGroup = own.gid === stat.gid && (own.mode & 0o020) !== 0;
  if ((stat.mode & 0o020) === 0 || sameGroup) return undefined;
  return [`can be changed by a group (${stat.gid})`, 'chmod go-w'];
}
