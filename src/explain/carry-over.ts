import type { Account, Step } from './account.ts';
import { alignSteps } from './align.ts';

/**
 * An account that also says what an earlier one knew of steps that this build had no need to look at, or did not come to: the next build
 * is compared with the last time that each of them was.
 */
export function carryOver(account: Account, earlier: Account): Account {
  const partners = alignSteps(earlier.steps, account.steps);
  const steps = account.steps.map((step, at) => {
    const partner = earlier.steps[partners[at] ?? -1];
    return partner === undefined || step.outcome === 'ran' ? step : withKnown(step, partner);
  });
  return { ...account, steps };
}

function withKnown(step: Step, partner: Step): Step {
  // Of a step that came from the cache all that is known is true of it now; one that never came to run is what it last was.
  const isOld = step.outcome !== 'cached';
  return {
    ...step,
    nodes: step.nodes.length > 0 ? step.nodes : partner.nodes,
    parts: isOld ? partner.parts : step.parts,
    inputs: step.inputs.map((input, at) => {
      const was = partner.inputs[at];
      return was !== undefined && (isOld || input.content === undefined) ? { ...was, step: input.step } : input;
    }),
  };
}
