import { type Platform, toOciPlatform } from '../image/index.ts';

/**
 * The environment that BuildKit's clients look for, beside the image's own: options numbered, and what the machine is.
 * @param session names the build; nothing here understands it
 */
export function frontendEnvironment(
  options: ReadonlyMap<string, string>,
  session: string,
  platforms: readonly Platform[],
): readonly string[] {
  const workers = [{ id: 'tsbuild', labels: {}, platforms: platforms.map(toOciPlatform) }];
  return [
    ...[...options].map(([key, value], index) => `BUILDKIT_FRONTEND_OPT_${index}=${key}=${value}`),
    `BUILDKIT_SESSION_ID=${session}`,
    `BUILDKIT_WORKERS=${JSON.stringify(workers)}`,
    'BUILDKIT_EXPORTEDPRODUCT=tsbuild',
  ];
}

/** Where a frontend may look at the definition of its own image. */
export const METADATA_FILE = '/run/config/buildkit/metadata/frontend.bin';
