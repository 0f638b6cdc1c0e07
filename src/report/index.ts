/**
 * What happened in a build, for people: a recorder takes in its events, what is worth remembering is kept in the store, and reports are made
 * of it, as a page and as JSON with the same facts.
 */
export { describeBuild } from './describe.ts';
export type { ReportFacts } from './facts.ts';
export { keepRecord, parseRecord } from './kept.ts';
export { lookIntoLayers, recordedLayers } from './layer-sizes.ts';
export { renderJson, renderPage } from './page.ts';
export type { BuildRecord, BuildSubject } from './record.ts';
export { BuildRecorder, KEPT_LOGS, REPORTED_LOGS } from './recorder.ts';
