/** Layers as directory, blob or both, each made from the other on demand: `LayerService`. A snapshot is a list of layer ids. */
export type { CacheOrigin } from './imported.ts';
export { compressionOfForm, type PackForm, type PackedLayer } from './packed-layer.ts';
export type { Shown } from './pull-display.ts';
export { LayerService, type LayerSlot } from './service.ts';
