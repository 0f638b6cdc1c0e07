import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectRoot } from './program.ts';

/** What a shim makes of a command line: see ci/image/shims/run.mjs. */
export interface Translation {
  readonly args: readonly string[];
  readonly notes?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly finish?: (metadata: Readonly<Record<string, unknown>>) => void;
}

/** A module of ci, which is plain JavaScript: it runs on machines that have nothing but Node. @param path within ci */
export async function loadFromCi<T>(path: string): Promise<T> {
  return (await import(pathToFileURL(join(projectRoot, 'ci', path)).href)) as T;
}
