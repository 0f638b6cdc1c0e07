/**
 * Whole builds that came from the cache, remembered with everything that they looked at: while all of that is as it was, the same request
 * gives the same result, and nothing has to be parsed, keyed or looked up to know it.
 */
export { HeldBlobs } from './held-blobs.ts';
export { type RecalledBuild, type RememberedBuild, Recall } from './recall.ts';
export { type Testimony, Witness } from './witness.ts';
export type { PushedTo, WrittenImage } from './written-image.ts';
