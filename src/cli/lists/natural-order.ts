/**
 * The order in which docker lists names and ports (github.com/fvbommel/sortorder, `NaturalLess`): numbers in them by what they are worth,
 * the one with fewer zeros before it first where that is the same, and digits before all else.
 */
export function naturalOrder(a: string, b: string): number {
  const [parts, others] = [partsOf(a), partsOf(b)];
  for (let at = 0; at < Math.min(parts.length, others.length); at++) {
    const [one, other] = [parts[at] ?? '', others[at] ?? ''];
    if (one === other) continue;
    if (!isNumber(one) || !isNumber(other)) return isNumber(one) || (!isNumber(other) && one < other) ? -1 : 1;
    const [worth, than] = [one.replace(/^0+/, ''), other.replace(/^0+/, '')];
    if (worth !== than) return worth.length - than.length || (worth < than ? -1 : 1);
    return one.length - other.length;
  }
  return parts.length - others.length;
}

/** Numbers as a whole, and all else letter by letter. */
const partsOf = (text: string): readonly string[] => text.match(/[0-9]+|[^0-9]/gsu) ?? [];
const isNumber = (part: string): boolean => /^[0-9]/.test(part);
