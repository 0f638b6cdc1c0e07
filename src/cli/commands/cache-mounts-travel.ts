import { exportStoredMount, importMount, openSession } from '../../engine/index.ts';
import type { BuildEvent, Task } from '../../events/index.ts';
import {
  allMounts,
  type CacheExport,
  type CacheImport,
  parseCacheFrom,
  parseCacheTo,
} from '../../remote-cache/index.ts';
import { sanitizeLine, TsbuildError } from '../../util/index.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { sessionOptions } from '../session-options.ts';
import { mountsOf, shownId } from './cache-mounts.ts';

/** `tsbuild cache mounts export` */
export async function exportMountsCommand(
  context: CliContext,
  ids: readonly string[],
  { cacheTo }: { readonly cacheTo: readonly string[] },
): Promise<number> {
  using interrupt = interruptible();
  const targets = parseCacheTo(context.cwd, cacheTo, context.env).map(withMounts);
  await using session = openSession(sessionOptions(context, interrupt.signal));
  const task = quietTask(context, interrupt.signal);
  const all = session.store.mounts.list();
  const mounts = ids.length === 0 ? all : mountsOf(all, ids);
  for (const target of targets)
    for (const { id } of mounts) {
      const said = await exportStoredMount(session, task, target, id);
      await print(context, `${shownId(id)}: ${said}\n`);
    }
  return 0;
}

/** `tsbuild cache mounts import`: 1 when one could not be had. */
export async function importMountsCommand(
  context: CliContext,
  ids: readonly string[],
  { cacheFrom, replace = false }: { readonly cacheFrom: readonly string[]; readonly replace?: boolean },
): Promise<number> {
  using interrupt = interruptible();
  const sources = parseCacheFrom(context.cwd, cacheFrom, context.env).map(withMounts);
  await using session = openSession(sessionOptions(context, interrupt.signal));
  const task = quietTask(context, interrupt.signal);
  let code = 0;
  for (const id of ids) {
    const outcome = await importMount(session, task, sources, id, replace);
    if (outcome === 'restored') {
      await print(context, `${id}: restored\n`);
      continue;
    }
    code = 1;
    const why = {
      'in-use': 'another command uses it',
      occupied: 'the store has files in it (--replace replaces them)',
      absent: 'it is not there',
    }[outcome];
    context.stderr.write(`${sanitizeLine(`error: Cannot import cache mount ${JSON.stringify(id)}: ${why}`)}\n`);
  }
  return code;
}

/** @throws TsbuildError `TSB_USAGE` for a cache that has no mounts */
function withMounts<T extends CacheExport | CacheImport>(spec: T): Extract<T, { readonly type: 'steps' }> {
  if (spec.type !== 'steps')
    throw new TsbuildError('TSB_USAGE', `Cannot use a cache of type ${spec.type} for cache mounts: it has none`, {
      hint: 'types are registry, local, s3, gha and azblob',
    });
  const steps = spec as Extract<T, { readonly type: 'steps' }>;
  return { ...steps, mounts: steps.mounts ?? allMounts };
}

/** Warnings are all that is said. */
function quietTask(context: CliContext, signal: AbortSignal): Task {
  const events = (event: BuildEvent): void => {
    if (event.type === 'diagnostic') context.stderr.write(`warning: ${sanitizeLine(event.diagnostic.message)}\n`);
  };
  return { signal, events };
}
