import { normalizeReference } from '../../image/index.ts';
import { resolveAlias } from '../../registry/index.ts';
import type { Session } from '../session.ts';

/**
 * The image that a name means: the store's of that name, else what an alias in registries.conf says, else one of the Docker Hub as ever.
 * @param written as the user has it
 * @returns normalized
 * @throws TsbuildError `TSB_USAGE` for a name that is none, or a registries.conf that cannot be used
 */
export async function meantBy(session: Session, written: string): Promise<string> {
  const reference = normalizeReference(written);
  if (session.store.images.get(reference) !== undefined) return reference;
  const alias = resolveAlias(written, await session.registriesConfig());
  return alias === undefined ? reference : normalizeReference(alias);
}
