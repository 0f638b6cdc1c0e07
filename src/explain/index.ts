/** Why a step ran: what two builds say of themselves, compared and put into words. Reads and writes nothing. */
export type { Account, Explanation, ExplainedStep, Lineage, Part, Step, StepInput, StepKind } from './account.ts';
export { decodeAccount, type DecodedAccount, encodeAccount } from './encode.ts';
export { fingerprint, lineageKey, nearest } from './lineage.ts';
export { type ExplainedFacts, explanationFacts, type ExplanationFacts, type HintFacts } from './facts.ts';
export { renderExplanation } from './render.ts';
export { type Hint, hintsOf } from './costly.ts';
export { kindOf, partsOf, type RawPart } from './parts.ts';
export { type Earlier, explain } from './reasons.ts';
export type { LoadListing } from './compare-listings.ts';
export { accountOfSummaries, readSummary, type StepSummary, summarize } from './summary.ts';
export { carryOver } from './carry-over.ts';
