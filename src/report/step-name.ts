import type { StepKind } from './facts.ts';

/** What the name of a vertex says. */
export interface StepName {
  readonly kind: StepKind;
  readonly stage?: string;
  readonly number?: string;
  readonly platform?: string;
  readonly text: string;
}

/** As src/progress has it for the summary of a job. */
const OUTPUT = /^(?:exporting|pushing|keeping|preparing|writing|fetching layers) /;

/** Takes the name of a vertex apart: `[linux/arm64 build 2/3] RUN make`, `[internal] load build context`. */
export function parseStepName(name: string, inGraph: boolean): StepName {
  // Numbers are as wide as the last of their stage: `[build  2/12]`.
  const match = /^\[(?:([a-z0-9]+\/[a-z0-9/]+) )?(?:(\S+) )? *(\d+\/\d+)\] /.exec(name);
  if (match !== null) {
    const [whole, platform, stage, number = ''] = match;
    const text = name.slice(whole.length);
    return {
      kind: text.startsWith('FROM ') ? 'source' : 'step',
      ...(platform === undefined ? {} : { platform }),
      ...(stage === undefined ? {} : { stage }),
      number,
      text,
    };
  }
  const inner = /^\[(internal|auth)\] /.exec(name);
  if (inner !== null) return { kind: inGraph ? 'source' : 'internal', text: name.slice(inner[0].length) };
  if (OUTPUT.test(name)) return { kind: 'output', text: name };
  return { kind: inGraph ? 'source' : 'internal', text: name };
}
