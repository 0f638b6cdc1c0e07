import type { Difference } from '../events/index.ts';
import type { Part } from './account.ts';

/** What counts before what: a step's own text before what follows from it. */
const ORDER: readonly Difference['what'][] = ['command', 'base', 'source', 'option', 'variable', 'device', 'file'];

/** What of a step's identity is not as it was, the most telling first. */
export function compareParts(before: readonly Part[], now: readonly Part[]): readonly Difference[] {
  const [old, own] = [byKey(before), byKey(now)];
  const found: Difference[] = [];
  for (const [key, part] of own) {
    const was = old.get(key);
    if (was === undefined) found.push({ ...nameOf(part), change: 'added', ...shown('after', part) });
    // Of what may not even be told apart nothing is known.
    else if (was.id !== part.id && was.id !== '' && part.id !== '')
      found.push({ ...nameOf(part), change: 'changed', ...shown('before', was), ...shown('after', part) });
  }
  for (const [key, part] of old)
    if (!own.has(key)) found.push({ ...nameOf(part), change: 'removed', ...shown('before', part) });
  return found.sort((a, b) => ORDER.indexOf(a.what) - ORDER.indexOf(b.what));
}

/** A step has one base, one source and one command, whatever they are called. */
function byKey(parts: readonly Part[]): ReadonlyMap<string, Part> {
  const isOne = (what: Difference['what']): boolean =>
    ['base', 'source', 'command'].includes(what) && parts.filter((part) => part.what === what).length === 1;
  return new Map(parts.map((part) => [isOne(part.what) ? part.what : `${part.what} ${part.name}`, part]));
}

function nameOf({ what, name }: Part): Pick<Difference, 'what' | 'name'> {
  return { what, name };
}

function shown(key: 'before' | 'after', part: Part): Partial<Difference> {
  return part.shown === undefined ? {} : { [key]: part.shown };
}
