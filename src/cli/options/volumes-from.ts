import { resolve } from 'node:path';
import { Containers, Volumes } from '../../containers/index.ts';
import type { Session } from '../../engine/index.ts';
import type { MountSpec } from '../../sandbox/index.ts';
import { TsbuildError } from '../../util/index.ts';

/**
 * `--volumes-from CONTAINER[:ro]`: the volumes and directories that other containers have, at the same places. As with docker, what is
 * read-only there is so here, and what is in memory there is not shared.
 * @param own what the user has mounted, which comes first
 * @throws TsbuildError `TSB_USAGE`, `TSB_NOT_FOUND`
 */
export function volumesFrom(
  { store }: Pick<Session, 'store'>,
  wanted: readonly string[],
  own: readonly MountSpec[],
): readonly MountSpec[] {
  const taken = new Set(own.map(({ target }) => resolve(target)));
  const volumes = new Volumes(store);
  const found = new Map<string, MountSpec>();
  for (const text of wanted) {
    const { name, isReadonly } = parse(text);
    for (const mount of new Containers(store).find(name).record.step.mounts ?? []) {
      const target = resolve(mount.target);
      if (mount.type !== 'bind' || taken.has(target)) continue;
      // Gone by now, or no longer one container's alone.
      if (mount.volume !== undefined) volumes.share(volumes.find(mount.volume));
      found.set(target, isReadonly ? { ...mount, readonly: true } : mount);
    }
  }
  return [...found.values()];
}

function parse(text: string): { readonly name: string; readonly isReadonly: boolean } {
  const [name = '', words, ...rest] = text.split(':');
  const modes = words?.split(',') ?? [];
  // Of each kind one, as docker has it.
  const kinds = [
    modes.filter((mode) => ['ro', 'rw'].includes(mode)),
    modes.filter((mode) => ['z', 'Z'].includes(mode)),
  ];
  const isKnown = kinds.every(({ length }) => length <= 1) && kinds.flat().length === modes.length;
  if (name === '' || rest.length > 0 || !isKnown)
    throw new TsbuildError('TSB_USAGE', `Cannot use --volumes-from ${JSON.stringify(text)}`, {
      hint: 'expected CONTAINER or CONTAINER:ro',
    });
  return { name, isReadonly: modes.includes('ro') };
}
