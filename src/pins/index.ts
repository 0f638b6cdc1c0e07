/**
 * What the changeable names of a build stood for: images by tag, web addresses, git references. Written to a lock file, they stand for
 * the same in the next build, on every machine.
 */
export { changesOf, describeChanges, type PinChange } from './changes.ts';
export { formatLock, type Lock, parseLock } from './lock-file.ts';
export { type GitPin, type HttpPin, type ImagePin, type Pin } from './pin.ts';
export { type PinPolicy, Pins } from './pins.ts';
export { answerName, digestOfAnswers, type RecordedAnswer } from './recorded-answer.ts';
export { isRefName } from './ref-name.ts';
export { offlineRefusals, type Refusals } from './refusals.ts';
export { writeLockFile } from './write-lock.ts';
