import { hexOf, sha256 } from '../util/index.ts';
import type { Isolation } from './isolation-name.ts';
import { mustBeBare } from './isolation.ts';
import { isPlan, planBare, planNamespace, type PlanInputs } from './namespace-plan.ts';
import type { IdRange, NamespacePlan } from './types.ts';

/** The form of directories whose files all belong to one id, and remember their owners. */
const REMEMBERED = 2;

/**
 * How the plan of `chooseIsolation` has images' owners on disk, as a number: directories with the same one have them alike. What two rungs
 * make of one store is not alike: namespaces shift root's ids, chroot does not; and another range in /etc/subuid gives other ids.
 * It needs no more of the machine than the plan itself; of the helper only where root lacks capabilities.
 * @param findHelper gives the path of the helper, or throws
 */
export function ownerForm(isolation: Isolation, inputs: PlanInputs, findHelper: () => string): number {
  if (isolation === 'chroot' && inputs.uid === 0) return formOf(planBare(inputs));
  const usual = planNamespace(inputs);
  // Without a plan there is one id, or nothing is made: whoever asks for the plan is told why.
  if (isolation === 'single-id' || !isPlan(usual)) return REMEMBERED;
  const ids = formOf(usual);
  if (inputs.uid !== 0) return ids;
  const bare = formOf(planBare(inputs));
  return ids !== bare && mustBeBare(isolation, inputs, findHelper) ? bare : ids;
}

function formOf({ uids, gids, idShift }: Pick<NamespacePlan, 'uids' | 'gids' | 'idShift'>): number {
  const text = [uids, gids].map((ranges) => offsets(ranges, idShift)).join(' ');
  // 48 bits are exact in a number, and none of the smaller ones that have a meaning of their own.
  return REMEMBERED + 1 + Number.parseInt(hexOf(sha256(text)).slice(0, 12), 16);
}

/** From which id of an image on they are how far off on disk. Where the last range ends does not matter: more ids leave the others as they are. */
function offsets(ranges: readonly IdRange[], idShift: number): string {
  const steps: (readonly [from: number, offset: number])[] = [];
  for (const { inside, outside } of ranges.toSorted((a, b) => a.inside - b.inside))
    if (steps.at(-1)?.[1] !== outside - inside) steps.push([inside, outside - inside]);
  return steps.map(([from, offset]) => `${from}+${offset + idShift}`).join(',');
}
