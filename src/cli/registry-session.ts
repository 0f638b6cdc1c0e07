import type { SessionOptions } from '../engine/index.ts';
import { parseReference } from '../image/index.ts';
import { isTsbuildError } from '../util/index.ts';
import type { CliContext } from './context.ts';
import { type RegistryFlags, registryOptions } from './options/registry-flags.ts';
import { sessionOptions } from './session-options.ts';

/**
 * What a session needs to know for a command that may ask a registry.
 * @param name of an image, to whose registry the flags belong; a path or an id has none
 * @throws TsbuildError `TSB_USAGE`
 */
export function registrySession(
  context: CliContext,
  signal: AbortSignal,
  flags: RegistryFlags,
  name: string | undefined,
): SessionOptions {
  return {
    ...sessionOptions(context, signal),
    ...registryOptions(context, flags, name === undefined ? undefined : hostOf(name)),
  };
}

function hostOf(name: string): string | undefined {
  try {
    return parseReference(name.replace(/^docker:\/\//, '')).host;
  } catch (error) {
    if (isTsbuildError(error)) return undefined;
    throw error;
  }
}
