import type { ReportFacts, ReportStep, StepState } from '../facts.ts';
import { byId } from './dom.ts';

/** The facts, from the page itself. */
export const facts: ReportFacts = JSON.parse(byId('facts').textContent ?? '') as ReportFacts;

/** What is shown of a step besides its colour, so that nobody depends on that. */
export const GLYPHS: Readonly<Record<StepState, string>> = {
  ran: '●',
  cached: '○',
  failed: '✕',
  canceled: '◌',
  skipped: '·',
};

/** What became of a step, in words. */
export const WORDS: Readonly<Record<StepState, string>> = {
  ran: 'ran',
  cached: 'cached',
  failed: 'failed',
  canceled: 'stopped',
  skipped: 'not reached',
};

/** `build 2/3`; empty for what has no number. */
export function labelOf({ platform, stage, number }: ReportStep): string {
  return [platform, stage, number].filter(Boolean).join(' ');
}

/** An instruction on one line. */
export function shortText({ text }: ReportStep): string {
  return text.replaceAll(/\s+/g, ' ');
}

/** Told which step is chosen, and whether it is to be read now. */
export type Listener = (step: number | undefined, focus: boolean) => void;

const listeners: Listener[] = [];
let selected: number | undefined;
let opener: HTMLElement | undefined;

/** Told when a step is chosen, or none any more. @returns nothing: who listens does so for as long as the page is there */
export function onSelect(listener: Listener): void {
  listeners.push(listener);
}

/** Chooses a step. @param focus its description is to be read, not only to be there */
export function select(step: number | undefined, focus = false): void {
  const active = document.activeElement;
  if (step !== undefined && active instanceof HTMLElement && active !== document.body && !active.closest('#details'))
    opener = active;
  selected = step;
  for (const listener of listeners) listener(step, focus);
  if (step === undefined && opener?.isConnected) opener.focus();
}

/** The step that is chosen; undefined for none. */
export function selectedStep(): number | undefined {
  return selected;
}

/** What was looked for last, which the log of a step is searched for too. */
export const search: { text: string } = { text: '' };
