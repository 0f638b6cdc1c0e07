/**
 * The candidate nearest to `word`, for "did you mean" hints, or undefined when none is near.
 * Near is an edit distance of at most a third of the longer word (BuildKit's suggest package); letters in another order, the
 * likeliest slip, count as one edit.
 */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  const wanted = word.toLowerCase();
  for (const candidate of candidates) {
    const limit = Math.max(1, Math.floor(Math.max(wanted.length, candidate.length) / 3));
    const other = candidate.toLowerCase();
    const distance = sorted(wanted) === sorted(other) ? Number(wanted !== other) : editDistance(wanted, other);
    if (distance <= limit && distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function sorted(word: string): string {
  return Array.from(word).sort().join('');
}

/**
 * Levenshtein distance of two strings, in UTF-16 units.
 * @param limit a greater distance need not be known: what is given then is greater, and found in time linear in the strings
 */
export function editDistance(a: string, b: string, limit: number = Number.POSITIVE_INFINITY): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let previous = Array.from({ length: Math.min(b.length, limit) + 1 }, (_, index) => index);
  // Row by row, and of each row what lies within the limit of the diagonal; `start` is the column of its first element.
  let start = 0;
  for (let i = 1; i <= a.length; i++) {
    const first = Math.max(0, i - limit);
    const last = Math.min(b.length, i + limit);
    const current: number[] = [];
    let least = Number.POSITIVE_INFINITY;
    for (let j = first; j <= last; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      const above = (previous[j - start] ?? Number.POSITIVE_INFINITY) + 1;
      const left = (current[j - first - 1] ?? Number.POSITIVE_INFINITY) + 1;
      const diagonal =
        j === 0 ? Number.POSITIVE_INFINITY : (previous[j - 1 - start] ?? Number.POSITIVE_INFINITY) + cost;
      const distance = j === 0 ? i : Math.min(above, left, diagonal);
      least = Math.min(least, distance);
      current.push(distance);
    }
    if (least > limit) return limit + 1;
    previous = current;
    start = first;
  }
  return previous[b.length - start] ?? limit + 1;
}
