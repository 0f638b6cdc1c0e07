import type { Store } from '../../store/index.ts';
import type { BuildOptions } from './build-display.ts';
import { redactUrls } from '../../util/index.ts';
import type { CliContext } from '../context.ts';

const KIND = 'last-build';
const KEY = 'last';

/** What was typed for a build, so that it can be done again: names and paths, no contents of secrets. */
export interface LastBuild {
  readonly cwd: string;
  readonly path: string;
  readonly options: BuildOptions;
}

/** Notes a build for `tsbuild debug`. What came by standard input cannot come again. */
export function noteBuild(store: Store, { cwd }: CliContext, path: string, options: BuildOptions): void {
  if (path === '-' || options.file === '-') return;
  const known: LastBuild = { cwd, path, options };
  // An address with credentials is kept nowhere (SEC-07), and without them it leads nowhere.
  const text = JSON.stringify(known);
  if (redactUrls(text) !== text) return;
  store.facts.put(KIND, KEY, known);
}

/** The last build that did more than remember an earlier one. */
export function lastBuild(store: Store): LastBuild | undefined {
  const value = store.facts.get(KIND, KEY)?.value as Partial<LastBuild> | undefined;
  if (typeof value?.cwd !== 'string' || typeof value.path !== 'string' || typeof value.options !== 'object')
    return undefined;
  return { cwd: value.cwd, path: value.path, options: value.options };
}
