import type { ExplainedStep, Explanation } from './account.ts';
import { textOf } from './align.ts';
import { oneLine } from './text.ts';

/** Steps that took less in all are not worth a change of the Dockerfile. Milliseconds. */
const WORTH = 1000;

/** An early change that made many later steps run. */
export interface Hint {
  /** Where it began. */
  readonly vertex: ExplainedStep['vertex'];
  readonly text: string;
  /** How many later steps ran for it, and how long these took, in ms. */
  readonly steps: number;
  readonly ms: number;
}

/** What to change in the Dockerfile so that a change like this one costs less, the dearest first. Empty where nothing stands out. */
export function hintsOf({ steps }: Explanation): readonly Hint[] {
  return [...copyHints(steps), ...variableHints(steps)].sort((a, b) => b.ms - a.ms);
}

/** A COPY of files that steps run after, of which some may need less than all. */
function copyHints(steps: readonly ExplainedStep[]): readonly Hint[] {
  return steps.flatMap((step): readonly Hint[] => {
    const { reason, vertex } = step;
    if (step.kind !== 'files' || reason.kind !== 'changed' || reason.differences[0]?.what !== 'file') return [];
    const later = steps.filter((one) => one.reason.cause === vertex && one.outcome === 'ran');
    const dearest = dearestRun(later);
    const ms = total(later);
    if (dearest === undefined || ms < WORTH) return [];
    const example = `${quote(dearest)} (${seconds(dearest.ms ?? 0)})`;
    const text =
      `${quote(step)}${placeOf(step)} made ${count(later.length)} after it run again, ${seconds(ms)}. ` +
      `Copy what ${example} needs first, run it, and copy the rest after it`;
    return [{ vertex, text, steps: later.length, ms }];
  });
}

/** An ARG or ENV that is set before steps whose commands do not name it. */
function variableHints(steps: readonly ExplainedStep[]): readonly Hint[] {
  const byName = new Map<string, ExplainedStep[]>();
  for (const step of steps) {
    if (step.outcome !== 'ran' || step.reason.kind !== 'changed') continue;
    const names = step.reason.differences.map(({ what, name }) => (what === 'variable' ? name : undefined));
    const [name] = names;
    // Only where it is all that has changed: otherwise the step had to run anyway.
    if (name === undefined || names.some((other) => other !== name)) continue;
    byName.set(name, [...(byName.get(name) ?? []), step]);
  }
  return [...byName].flatMap(([name, changed]): readonly Hint[] => {
    const [first] = changed;
    const needless = changed.filter((step) => !mentions(step, name));
    const stood = steps.filter(
      ({ outcome, reason }) => outcome === 'ran' && needless.some(({ vertex }) => vertex === reason.cause),
    );
    const all = [...needless, ...stood];
    const ms = total(all);
    if (first === undefined || ms < WORTH) return [];
    const text =
      `${name} has another value, and is set before ${count(all.length)} that ${all.length === 1 ? 'does' : 'do'} not name it but ` +
      `ran again for it, ${seconds(ms)}. Move its ARG or ENV down to the first instruction that uses it`;
    return [{ vertex: first.vertex, text, steps: all.length, ms }];
  });
}

/** Whether the command names it; in the name of the step there is its value by now. */
function mentions({ parts }: ExplainedStep, name: string): boolean {
  const command = parts.find(({ what }) => what === 'command')?.shown ?? '';
  return command.split(/\W+/).includes(name);
}

function dearestRun(steps: readonly ExplainedStep[]): ExplainedStep | undefined {
  const runs = steps.filter(({ kind }) => kind === 'run');
  return runs.toSorted((a, b) => (b.ms ?? 0) - (a.ms ?? 0))[0];
}

function total(steps: readonly ExplainedStep[]): number {
  return steps.reduce((sum, { ms = 0 }) => sum + ms, 0);
}

function count(steps: number): string {
  return `${steps} step${steps === 1 ? '' : 's'}`;
}

function quote(step: ExplainedStep): string {
  return `"${oneLine(textOf(step), 50)}"`;
}

function placeOf({ place }: ExplainedStep): string {
  return place === undefined ? '' : ` (${place})`;
}

/** `3.2s`. @param ms milliseconds */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)}s`;
}
