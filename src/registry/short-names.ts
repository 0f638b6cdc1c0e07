import { parseReference } from '../image/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { RegistriesConfig } from './registries-conf.ts';

/**
 * What registries.conf has a short name stand for (containers-registries.conf(5), "Short-Name Aliasing"): one without a registry in front,
 * whose repository is among the aliases. Tag and digest stay.
 * @returns undefined where it has none, or an empty one, which takes back that of another file
 * @throws TsbuildError `TSB_USAGE` for an alias that is no name of a repository with its registry
 */
export function resolveAlias(name: string, { aliases }: RegistriesConfig): string | undefined {
  const [, repository = '', rest = ''] = /^([^:@]+)((?::[^@/]+)?(?:@.+)?)$/.exec(name) ?? [];
  const full = aliases.get(repository);
  if (full === undefined || full === '' || hasRegistry(repository)) return undefined;
  const target = hasRegistry(full) ? parseReference(full) : undefined;
  if (target === undefined || target.tag !== undefined || target.digest !== undefined)
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot use ${JSON.stringify(name)}: its alias in registries.conf is ${JSON.stringify(full)}, expected "registry/repository" without a tag`,
      { hint: 'correct it under [aliases]' },
    );
  return full + rest;
}

/** Whether the first part of a name is a host. */
function hasRegistry(name: string): boolean {
  const [first = '', ...others] = name.split('/');
  return others.length > 0 && (/[.:]/.test(first) || first === 'localhost');
}
