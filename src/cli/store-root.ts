import { homedir } from 'node:os';
import { join } from 'node:path';
import type { CliContext } from './context.ts';

/** Where the store is: `$TSBUILD_ROOT`, else `$XDG_DATA_HOME/tsbuild`, else `~/.local/share/tsbuild`. */
export function storeRoot(context: CliContext): string {
  const { TSBUILD_ROOT, XDG_DATA_HOME, HOME } = context.env;
  if (TSBUILD_ROOT) return TSBUILD_ROOT;
  if (XDG_DATA_HOME?.startsWith('/')) return join(XDG_DATA_HOME, 'tsbuild');
  return join(HOME || homeDirectory(), '.local/share/tsbuild');
}

/** Of a user that is in no database there is none. */
export function homeDirectory(): string {
  try {
    return homedir();
  } catch {
    return '/';
  }
}
