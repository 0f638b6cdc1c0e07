import { closeSync, constants, existsSync, fchownSync, mkdirSync, openSync } from 'node:fs';
import { basename, dirname, isAbsolute, resolve } from 'node:path';
import type { BindMount } from '../sandbox/index.ts';
import { fromErrno, makeDirectories, TsbuildError } from '../util/index.ts';

/**
 * Parses `-v source:target[:options]` of docker run. Sources are paths of the machine; options are `ro`, `rw`, and `z`, `Z`
 * and propagation names, which have no meaning here. As with docker, a source that is not there becomes a directory.
 * @param cwd what a relative source is relative to
 * @param owner id of the machine that a new directory belongs to: the container's root; 0 is who asks
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseVolume(text: string, cwd: string, owner = 0): BindMount {
  const bad = (why: string, hint?: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use volume "${text}": ${why}`, hint === undefined ? {} : { hint });
  const [source = '', target = '', options = 'rw', ...rest] = text.split(':');
  if (rest.length > 0 || source === '' || target === '' || text.includes('\0'))
    throw bad('it is not "source:target" or "source:target:ro"');
  if (!isAbsolute(target)) throw bad('the target is not an absolute path');
  if (resolve(target) === '/') throw bad('the target cannot be the root directory');
  if (!isAbsolute(source) && !source.startsWith('.'))
    throw bad('named volumes are not supported', `for a directory write ./${source}:${target}`);
  const path = resolve(cwd, source);
  let readonly = false;
  for (const option of options.split(',')) {
    if (option === 'ro') readonly = true;
    else if (!/^(?:rw|z|Z|r?private|r?shared|r?slave|consistent|cached|delegated|nocopy)$/.test(option))
      throw bad(`there is no option "${option}"`, 'the options are ro and rw');
  }
  // When all else is right: a mistake leaves nothing.
  if (!existsSync(path)) makeSource(text, path, owner);
  return { type: 'bind', source: path, target, readonly };
}

function makeSource(text: string, path: string, owner: number): void {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  const opened: number[] = [];
  const open = (name: string, flags: number): number => {
    const fd = openSync(name, O_RDONLY | O_DIRECTORY | flags);
    opened.push(fd);
    return fd;
  };
  try {
    makeDirectories(dirname(path));
    // By a descriptor and a name that is not followed: others may write here, and must not have root give them what a link of theirs leads to.
    const made = `/proc/self/fd/${open(dirname(path), 0)}/${basename(path)}`;
    mkdirSync(made);
    if (owner > 0) fchownSync(open(made, O_NOFOLLOW), owner, owner);
  } catch (error) {
    // Somebody else may have been faster.
    if (existsSync(path)) return;
    throw fromErrno(error, `Cannot use volume "${text}": "${path}" does not exist, and cannot be made`, 'TSB_USAGE');
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}
