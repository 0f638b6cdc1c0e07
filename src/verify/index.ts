/** Compares an image with one that was built again: what differs, down to the first byte of a file in a layer. */
export { compareImages, type ComparedImage, type Comparison } from './compare-images.ts';
export type { Difference } from './difference.ts';
export { formatComparison } from './format.ts';
