/** Rewriting what has one right answer in a Dockerfile, and nothing else of it. */
export { applyEdits, type Edit, type Fix } from './edits.ts';
export { formatDiff } from './diff.ts';
export { type FixedDockerfile, fixDockerfile, type FixOptions } from './fix.ts';
