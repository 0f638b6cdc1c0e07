import { accessSync, constants, statSync } from 'node:fs';

/**
 * The absolute path of a system program, looked up where distributions install them; PATH of the caller plays no part, since
 * these programs get privileges or run next to untrusted data.
 */
export function findProgram(name: string): string | undefined {
  for (const directory of ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin', '/run/wrappers/bin']) {
    const path = `${directory}/${name}`;
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return path;
    } catch {
      // not there
    }
  }
  return undefined;
}
