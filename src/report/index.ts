/**
 * What happened in a build, for people: a recorder takes in its events, what is worth remembering is kept in the store, and reports are made
 * of it, as a page and as JSON with the same facts.
 */
export type { ReportFacts } from './facts.ts';
export { type KeptBuild, keepRecord, keptBuilds } from './kept.ts';
export { recordedLayers } from './layer-sizes.ts';
export { reportOf } from './of-record.ts';
export { renderJson, renderPage } from './page.ts';
export type { BuildRecord, BuildSubject } from './record.ts';
export { BuildRecorder, KEPT_LOGS, REPORTED_LOGS } from './recorder.ts';
