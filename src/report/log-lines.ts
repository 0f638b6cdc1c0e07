import { cleanLine, LineSplitter } from '../progress/index.ts';
import type { BoundedLog, LogPiece } from './bounded-log.ts';
import type { StepLog } from './facts.ts';

/** Lines of one step; of more the first and the last. A log of line ends alone would be mostly times. */
const MAX_LINES = 20_000;
const FIRST_LINES = 5000;

/** The output of a step as lines. @param startedAt of the build, ms since the epoch */
export function logLines(log: BoundedLog, startedAt: number): StepLog | undefined {
  if (log.bytes === 0) return undefined;
  const { head, tail } = log.pieces;
  const first = cut(head, startedAt);
  // The rest of a line whose beginning is lost is none.
  const last = cut(tail, startedAt).slice(log.lost > 0 ? 1 : 0);
  const all = log.lost > 0 ? [...first, ...last] : cut([...head, ...tail], startedAt);
  let kept = all;
  let before = first.length;
  let lost = log.lost;
  if (all.length > MAX_LINES) {
    kept = [...all.slice(0, FIRST_LINES), ...all.slice(FIRST_LINES - MAX_LINES)];
    before = FIRST_LINES;
    for (const { line } of all.slice(FIRST_LINES, FIRST_LINES - MAX_LINES)) lost += Buffer.byteLength(line) + 1;
  }
  return {
    lines: kept.map(({ line }) => cleanLine(line, false)),
    times: kept.map(({ at }) => at),
    bytes: log.bytes,
    ...(lost === 0 ? {} : { lost: { bytes: lost, before } }),
  };
}

interface Line {
  readonly line: string;
  readonly at: number;
}

/** Cuts each stream into lines, in the order in which they ended. */
function cut(pieces: readonly LogPiece[], startedAt: number): readonly Line[] {
  const splitters = new Map<1 | 2, LineSplitter>();
  const lines: Line[] = [];
  const add = (found: readonly string[], at: number): void => {
    for (const line of found) lines.push({ line, at: Math.max(0, at - startedAt) });
  };
  for (const { stream, at, data } of pieces) {
    let splitter = splitters.get(stream);
    if (splitter === undefined) splitters.set(stream, (splitter = new LineSplitter()));
    add(splitter.push(data), at);
  }
  for (const splitter of splitters.values()) add(splitter.flush(), pieces.at(-1)?.at ?? startedAt);
  return lines;
}
