import { joinPath } from '../../llb/index.ts';
import { compareBytes } from '../dockerfile/text.ts';

/** A path as the sets of needed paths hold it. */
export function rootedPath(path: string): string {
  return joinPath('/', path);
}

/** The paths of a directory that are needed, sorted and relative; undefined when all or none of it are. */
export function neededPaths(paths: ReadonlySet<string>): readonly string[] | undefined {
  if (paths.size === 0 || paths.has('/')) return undefined;
  return [...paths].map((path) => joinPath('.', path)).sort(compareBytes);
}
