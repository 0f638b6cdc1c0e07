import type { Difference, StepReason } from '../events/index.ts';
import type { ExplainedStep } from './account.ts';
import { textOf } from './align.ts';

/** A reason as one line for people. @param cause the step right beneath that is the reason, where one is */
export function reasonText(reason: StepReason, cause: ExplainedStep | undefined): string {
  switch (reason.kind) {
    case 'hit':
      return reason.from === undefined ? 'in the cache' : `in the cache ${reason.from}`;
    case 'changed':
      return changesText(reason);
    case 'input':
      return causeText(cause);
    case 'new':
      return 'new: the earlier build had no such step';
    case 'no-record':
      return 'no earlier record';
    case 'gone':
      return 'no earlier record: nothing has changed, but its earlier result is not in the cache any more';
    case 'no-cache':
      return 'it was to run whatever is cached (--no-cache)';
    case 'none':
      return noneText(reason);
  }
}

function noneText({ outcome }: StepReason): string {
  switch (outcome) {
    case 'unneeded':
      return 'nothing that was built needs it';
    case 'stopped':
      return 'the build ended before';
    case 'cached':
    case 'ran':
    case 'failed':
      return 'nothing has changed, but its earlier result could not be used';
  }
}

function causeText(cause: ExplainedStep | undefined): string {
  if (cause === undefined) return 'what it stands on has changed';
  const isChanged = cause.outcome === 'ran' || cause.outcome === 'failed';
  const place = cause.place === undefined ? '' : ` (${cause.place})`;
  return `it stands on ${oneLine(textOf(cause), 60)}${place}, which ${isChanged ? 'ran again' : 'is another one than before'}`;
}

/** The first difference, and how many more there are of which kind. */
function changesText({ differences, more }: StepReason): string {
  const [first, ...others] = differences;
  if (first === undefined) return 'something has changed';
  const count = others.length + more;
  const noun = others.every(({ what }) => what === 'file') && first.what === 'file' ? 'file' : 'difference';
  return `${differenceText(first)}${count === 0 ? '' : `, ${count} more ${noun}${count === 1 ? '' : 's'}`}`;
}

/** `src/a.ts changed (sha256 ab12… -> cd34…)`. */
export function differenceText(difference: Difference): string {
  const { what, name, change, before, after, oneOf, of } = difference;
  const where = of === undefined ? '' : ` of ${of}`;
  const values = before === undefined && after === undefined ? '' : ` (${before ?? 'none'} -> ${after ?? 'none'})`;
  switch (what) {
    case 'file':
      if (oneOf !== undefined && change === 'changed') return `one of ${oneOf} files beneath ${name}${where} changed`;
      if (oneOf !== undefined) return `${name}${where} ${change} with ${oneOf} file${oneOf === 1 ? '' : 's'}`;
      return `${name}${where} ${verb(change)}${values}`;
    case 'variable':
      return `ARG or ENV ${name} ${verb(change)}${values}`;
    case 'base':
      return `base image ${name} ${verb(change)}${values}`;
    case 'command':
      return `its ${name} ${verb(change)}${values}`;
    case 'option':
      return `${name} ${verb(change)}${values}`;
    case 'source':
      return `${name} ${verb(change)}${values}`;
    case 'device':
      return `device ${name} ${verb(change)}`;
  }
}

function verb(change: Difference['change']): string {
  switch (change) {
    case 'mode':
      return 'has another mode';
    case 'owner':
      return 'has another owner';
    case 'type':
      return 'is something else';
    case 'target':
      return 'is another link';
    case 'added':
    case 'removed':
    case 'changed':
      return change;
  }
}

/** A text on one line, of at most so many characters. */
export function oneLine(text: string, length: number): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= length ? line : `${line.slice(0, length - 1)}…`;
}
