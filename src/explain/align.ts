import type { Step } from './account.ts';

/** Steps beyond so many of a stage are paired by their text alone: the table below grows with their square. */
const MAX_ALIGNED = 600;

/**
 * Pairs each step with the same step of an earlier build of the same Dockerfile:
 *
 * 1. In each stage, steps of the same text are the same step, in their order (the longest common subsequence).
 * 2. What is left between two of those is paired by its kind, again in order: an instruction whose text was changed.
 *
 * @returns for each of `now` the position of its partner in `before`
 */
export function alignSteps(before: readonly Step[], now: readonly Step[]): readonly (number | undefined)[] {
  const partners: (number | undefined)[] = now.map(() => undefined);
  const [old, own] = [byStage(before), byStage(now)];
  for (const [stage, positions] of own) {
    const others = old.get(stage) ?? [];
    const anchors = commonTexts(
      others.map((at) => textOf(before[at])),
      positions.map((at) => textOf(now[at])),
    );
    let [a, b] = [0, 0];
    for (const [i, j] of [...anchors, [others.length, positions.length] as const]) {
      pairByKind(before, now, others.slice(a, i), positions.slice(b, j), partners);
      const at = positions[j];
      if (at !== undefined) partners[at] = others[i];
      [a, b] = [i + 1, j + 1];
    }
  }
  return partners;
}

/** Positions of steps by what stands in the brackets before their name, without the number: `[linux/arm64 build 3/7] RUN make`. */
function byStage(steps: readonly Step[]): ReadonlyMap<string, readonly number[]> {
  const stages = new Map<string, number[]>();
  for (const [at, { name, kind }] of steps.entries()) {
    const stage = kind === 'local' ? 'local' : (/^\[(.*?) *\d+\/\d+\] /.exec(name)?.[1] ?? '');
    const positions = stages.get(stage);
    if (positions === undefined) stages.set(stage, [at]);
    else positions.push(at);
  }
  return stages;
}

/** The instruction, without where it stands. Of an image the digest may be another one. */
export function textOf(step: Step | undefined): string {
  const text = (step?.name ?? '').replace(/^\[[^\]]*\] /, '');
  return step?.kind === 'image' ? text.replace(/@sha256:[0-9a-f]+/, '') : text;
}

function pairByKind(
  before: readonly Step[],
  now: readonly Step[],
  others: readonly number[],
  positions: readonly number[],
  partners: (number | undefined)[],
): void {
  const free = [...others];
  for (const at of positions) {
    const word = wordOf(now[at]);
    const found = free.findIndex((other) => wordOf(before[other]) === word);
    if (found < 0) continue;
    partners[at] = free[found];
    // Those before it stay unpaired, so that the order is kept.
    free.splice(0, found + 1);
  }
}

/** Kind and instruction: a COPY is not paired with a WORKDIR, though both change files. */
function wordOf(step: Step | undefined): string {
  return `${step?.kind ?? ''} ${/^\S*/.exec(textOf(step))?.[0] ?? ''}`;
}

/** Positions of a longest common subsequence, in order. */
function commonTexts(before: readonly string[], now: readonly string[]): readonly (readonly [number, number])[] {
  if (before.length > MAX_ALIGNED || now.length > MAX_ALIGNED) return inOrder(before, now);
  // lengths[i][j]: of the longest one of what begins at i and at j.
  const width = now.length + 1;
  const lengths = new Uint16Array((before.length + 1) * width);
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      lengths[i * width + j] =
        before[i] === now[j]
          ? (lengths[(i + 1) * width + j + 1] ?? 0) + 1
          : Math.max(lengths[(i + 1) * width + j] ?? 0, lengths[i * width + j + 1] ?? 0);
    }
  }
  const pairs: [number, number][] = [];
  for (let i = 0, j = 0; i < before.length && j < now.length;) {
    if (before[i] === now[j]) pairs.push([i++, j++]);
    else if ((lengths[(i + 1) * width + j] ?? 0) >= (lengths[i * width + j + 1] ?? 0)) i++;
    else j++;
  }
  return pairs;
}

/** Each with the next of the same text: linear, and as good where little was moved. */
function inOrder(before: readonly string[], now: readonly string[]): readonly (readonly [number, number])[] {
  const places = new Map<string, number[]>();
  for (const [at, text] of before.entries()) places.set(text, [...(places.get(text) ?? []), at]);
  const pairs: [number, number][] = [];
  let last = -1;
  for (const [at, text] of now.entries()) {
    const found = places.get(text)?.find((place) => place > last);
    if (found === undefined) continue;
    pairs.push([found, at]);
    last = found;
  }
  return pairs;
}
