import { sanitize } from '../util/index.ts';
import { type Palette, paint } from './colors.ts';
import type { StepView } from './trace.ts';

/** The last output of a failed step between rules, and where all of it is; empty for other steps. */
export function formatStepOutput(step: StepView): string {
  if (step.state !== 'failed') return '';
  const whole = step.log === undefined ? '' : `complete log: ${sanitize(step.log)}\n`;
  return `------\n > ${step.name}:\n${step.tail.map((line) => `${line}\n`).join('')}------\n${whole}`;
}

/** What is shown of a build that failed. */
export interface Failure {
  /** Why, without "failed to solve". */
  readonly message: string;
  /** A vertex failed: the message is led in by `failed to solve: `, as scripts expect of BuildKit. */
  readonly solving?: boolean;
  /** From `formatSourceExcerpt`. */
  readonly excerpt?: string;
  readonly hint?: string;
  readonly palette?: Palette;
}

/** The last thing said about a build that failed. Ends with a newline. */
export function formatFailure({ message, solving = false, excerpt = '', hint, palette }: Failure): string {
  const what = `${solving ? 'failed to solve: ' : ''}${sanitize(message)}`;
  const advice = hint === undefined ? '' : `hint: ${sanitize(hint)}\n`;
  return `${excerpt}${paint('error:', palette?.error)} ${what}\n${advice}`;
}
