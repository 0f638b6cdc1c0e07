import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import type { BindMount } from '../sandbox/index.ts';
import { TsbuildError } from '../util/index.ts';

/**
 * Parses `-v source:target[:options]` of docker run. Sources are paths of the machine; options are `ro`, `rw`, and `z`, `Z`
 * and propagation names, which have no meaning here.
 * @param cwd what a relative source is relative to
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseVolume(text: string, cwd: string): BindMount {
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
  if (!existsSync(path)) throw bad(`"${path}" does not exist`);
  let readonly = false;
  for (const option of options.split(',')) {
    if (option === 'ro') readonly = true;
    else if (!/^(?:rw|z|Z|r?private|r?shared|r?slave|consistent|cached|delegated|nocopy)$/.test(option))
      throw bad(`there is no option "${option}"`, 'the options are ro and rw');
  }
  return { type: 'bind', source: path, target, readonly };
}
