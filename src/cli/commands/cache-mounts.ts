import { treeRemover } from '../../engine/index.ts';
import { type CacheMount, idOfMount, prune, Store } from '../../store/index.ts';
import { formatBytes, suggest, TsbuildError } from '../../util/index.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { sessionOptions } from '../session-options.ts';
import { formatAge, formatTable } from '../lists/table.ts';
import { othersOf, sayWaiting } from '../waiting.ts';

/** As people know a mount: without the namespace of its id, which is empty but for its slash. */
export function shownId(id: string): string {
  return id.startsWith('/') ? id.slice(1) : id;
}

/**
 * The mounts that ids stand for, with what the store keeps apart of each: those that start with files, and copies of private ones.
 * @throws TsbuildError `TSB_NOT_FOUND` for an id that there is none of
 */
export function mountsOf(all: readonly CacheMount[], ids: readonly string[]): readonly CacheMount[] {
  const baseOf = ({ id }: CacheMount): string => idOfMount(id);
  const found = new Set<CacheMount>();
  for (const wanted of ids) {
    const matches = all.filter((mount) => [mount.id, baseOf(mount)].some((id) => id === wanted || id === `/${wanted}`));
    if (matches.length === 0) {
      const names = [...new Set(all.map((mount) => shownId(baseOf(mount))))];
      const near = suggest(wanted, names);
      throw new TsbuildError('TSB_NOT_FOUND', `There is no cache mount ${JSON.stringify(wanted)} in the store`, {
        hint: near === undefined ? '"tsbuild cache mounts ls" lists them' : `did you mean "${near}"?`,
      });
    }
    for (const mount of matches) found.add(mount);
  }
  return [...found];
}

/** `tsbuild cache mounts ls` */
export async function listMounts(context: CliContext, { format }: { readonly format: string }): Promise<number> {
  using interrupt = interruptible();
  const { root, now } = sessionOptions(context, interrupt.signal);
  using store = Store.open(root, { now });
  const held = store.leases.namesOfLiving('mount');
  const mounts = store.mounts.list().map((mount) => ({ ...mount, inUse: held.has(mount.id) }));
  if (format === 'json') {
    await print(context, `${JSON.stringify(mounts, undefined, 2)}\n`);
    return 0;
  }
  const rows = mounts.map(({ id, bytes, inodes, usedAt, inUse }) => [
    shownId(id),
    `${formatBytes(bytes)}${inUse ? ' (in use)' : ''}`,
    String(inodes),
    formatAge(now() - usedAt),
  ]);
  await print(context, formatTable(['ID', 'SIZE', 'FILES', 'LAST USED'], rows));
  return 0;
}

/** `tsbuild cache mounts rm`: 1 when one is in use. */
export async function removeMounts(
  context: CliContext,
  ids: readonly string[],
  { all = false }: { readonly all?: boolean },
): Promise<number> {
  if (all === ids.length > 0)
    throw new TsbuildError('TSB_USAGE', 'Cannot remove cache mounts: name some, or all of them with --all', {
      hint: '"tsbuild cache mounts ls" lists them',
    });
  using interrupt = interruptible();
  const options = sessionOptions(context, interrupt.signal);
  const { root, now, onWarning } = options;
  using store = Store.open(root, { now, onWarning: ({ message }) => onWarning(message), makeRoom: true });
  const list = store.mounts.list();
  const wanted = new Set((all ? list : mountsOf(list, ids)).map(({ id }) => id));
  const { removed, freedBytes, skipped } = await prune(store, {
    all: true,
    filter: ({ type, id }) => type === 'exec.cachemount' && wanted.has(id),
    removeTrees: treeRemover(options),
    signal: interrupt.signal,
    onWait: sayWaiting(context),
  });
  for (const { id } of removed) await print(context, `${shownId(id)}\n`);
  await print(context, `Freed:  ${formatBytes(freedBytes)}\n`);
  const others = othersOf(context, store);
  const by = others === '' ? '' : ` by ${others}`;
  const gone = new Set(removed.map(({ id }) => id));
  for (const id of wanted)
    if (!gone.has(id)) context.stderr.write(`warning: ${shownId(id)} is in use${by}${skipped ? `: ${skipped}` : ''}\n`);
  return gone.size === wanted.size ? 0 : 1;
}
