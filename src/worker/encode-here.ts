import { mkdirSync } from 'node:fs';
import { type EncodeOptions, encodeStep, type StepSpec } from '../sandbox/index.ts';
import type { WorkerConfig } from './protocol.ts';

/** A step as the helper reads it, with what this process has for all of them. @throws TsbuildError `TSB_SANDBOX` */
export function encodeHere(
  spec: StepSpec,
  { plan, seccompDir, privateDir }: WorkerConfig,
  more: Pick<EncodeOptions, 'tree'> = {},
): Buffer {
  const formatsDir = `${privateDir}/formats`;
  if (spec.emulator !== undefined) mkdirSync(formatsDir, { recursive: true });
  const place = `${privateDir}/place`;
  mkdirSync(place, { recursive: true });
  return encodeStep(spec, { plan, seccompPath: `${seccompDir}/${process.arch}.bpf`, formatsDir, place, ...more });
}
