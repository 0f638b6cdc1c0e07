import type { IdRange } from './types.ts';

/** A range of subordinate ids that a user may map: a line of /etc/subuid or /etc/subgid. */
export interface SubIdRange {
  readonly start: number;
  readonly count: number;
}

const MAX_ID = 4_294_967_294;

/**
 * The ranges of one user in /etc/subuid or /etc/subgid (subuid(5)), in the file's order. Lines may name the user or give the
 * user id. Malformed lines, ranges beyond 32 bits and parts that an earlier line has already given are left out.
 */
export function parseSubIds(
  text: string,
  user: { readonly name: string; readonly uid: number },
): readonly SubIdRange[] {
  const ranges: SubIdRange[] = [];
  for (const { name, start, count } of readLines(text)) {
    if (name !== user.name && name !== String(user.uid)) continue;
    const overlaps = ranges.some((range) => start < range.start + range.count && range.start < start + count);
    if (!overlaps) ranges.push({ start, count });
  }
  return ranges;
}

/** Lines that make sense. */
function* readLines(text: string): Generator<SubIdRange & { readonly name: string }> {
  for (const line of text.split('\n')) {
    const [, name, first, most] = /^([^:#]+):(\d{1,10}):(\d{1,10})\s*$/.exec(line) ?? [];
    const start = Number(first);
    const count = Math.min(Number(most), MAX_ID - start + 1);
    if (name !== undefined && count > 0 && start > 0) yield { name, start, count };
  }
}

/** Where useradd(8) begins (SUB_UID_MIN of login.defs(5)). */
const FIRST_SUB_ID = 100_000;

/** The first of `count` ids in a row that nobody has in any of these files; two users with the same ids can read each other's files. */
export function firstFreeSubId(texts: readonly string[], count: number): number {
  const taken = texts.flatMap((text) => [...readLines(text)]).toSorted((a, b) => a.start - b.start);
  let first = FIRST_SUB_ID;
  for (const range of taken) {
    if (range.start >= first + count) break;
    first = Math.max(first, range.start + range.count);
  }
  return first;
}

/** The map of namespace A for an ordinary user: 0 is the user, 1 and on are the subordinate ids. */
export function rootlessMap(id: number, ranges: readonly SubIdRange[]): readonly IdRange[] {
  const map: IdRange[] = [{ inside: 0, outside: id, count: 1 }];
  let inside = 1;
  for (const { start, count } of ranges) {
    map.push({ inside, outside: start, count });
    inside += count;
  }
  return map;
}

/**
 * The map of namespace A for root: every id that this process has, as it is.
 * @param own content of /proc/self/uid_map or gid_map
 */
export function identityMap(own: string): readonly IdRange[] {
  const map: IdRange[] = [];
  for (const line of own.split('\n')) {
    const match = /^\s*(\d+)\s+\d+\s+(\d+)\s*$/.exec(line);
    if (match) map.push({ inside: Number(match[1]), outside: Number(match[1]), count: Number(match[2]) });
  }
  return map;
}

/** What there is of ranges in a namespace. @param own its map; one that could not be read stands for all ids */
export function partsMapped(ranges: readonly SubIdRange[], own: readonly IdRange[]): readonly SubIdRange[] {
  if (own.length === 0) return ranges;
  return ranges.flatMap(({ start, count }) =>
    own.flatMap(({ inside, count: mapped }) => {
      const first = Math.max(start, inside);
      const end = Math.min(start + count, inside + mapped);
      return end > first ? [{ start: first, count: end - first }] : [];
    }),
  );
}

/** How many ids from 0 upwards a map covers without a gap. */
export function mappedFromZero(map: readonly IdRange[]): number {
  let next = 0;
  for (const range of map.toSorted((a, b) => a.inside - b.inside)) {
    if (range.inside > next) break;
    next = Math.max(next, range.inside + range.count);
  }
  return next;
}

/** Whether all ids of a range are in a map. */
export function isMapped(map: readonly IdRange[], start: number, count: number): boolean {
  return map.some((range) => start >= range.inside && start + count <= range.inside + range.count);
}
