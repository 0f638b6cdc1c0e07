import { familiarReference, formatReference, parseReference, withDefaultTag } from '../image/index.ts';
import { TsbuildError } from '../util/index.ts';

/**
 * Image names as the user gives them (`-t`, `name=`), normalised, each once, in order: `app` is
 * `docker.io/library/app:latest`.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseNames(names: Iterable<string>): string[] {
  const normalised = new Set<string>();
  for (const name of names) {
    const reference = parseReference(name.trim());
    if (reference.digest !== undefined) {
      throw new TsbuildError('TSB_USAGE', `Cannot name an image ${JSON.stringify(name)}: a digest is not a name`, {
        hint: 'leave out "@sha256:…"',
      });
    }
    normalised.add(formatReference(withDefaultTag(reference)));
  }
  return [...normalised];
}

/**
 * Names without a tag, for an image that is found by its digest alone, normalised: `app` is `docker.io/library/app`.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseRepositories(names: Iterable<string>): string[] {
  const normalised = new Set<string>();
  for (const name of names) {
    const reference = parseReference(name.trim());
    if (reference.tag !== undefined || reference.digest !== undefined)
      throw new TsbuildError('TSB_USAGE', `can't push tagged ref ${familiarReference(reference)} by digest`, {
        hint: 'leave out the tag, or "push-by-digest"',
      });
    normalised.add(formatReference(reference));
  }
  return [...normalised];
}

/** The tag of a normalised name. */
export function tagOf(name: string): string {
  return parseReference(name).tag ?? 'latest';
}

/** A normalised name as docker shows it: `app:latest`. */
export function familiarName(name: string): string {
  return familiarReference(parseReference(name));
}
