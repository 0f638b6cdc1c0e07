/** What images hold: their documents in the form that docker and skopeo show, their history, and what each layer adds and wastes. */
export { historyOf, type HistoryStep, instructionOf } from './history.ts';
export { type LayerReport, type LayersReport, reportLayers } from './layer-report.ts';
export { readRoot, type SelectedImage, selectImage } from './select-image.ts';
export { type ImageSummary, summarize } from './summary.ts';
