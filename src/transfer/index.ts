/** Images on their way from one place to another, as they are: between registries, layouts, archives and the local image store. */
export { convertImage, type ManifestFormat } from './convert.ts';
export { type ImagePlan, planImage, type PlanSource, type Selection } from './plan.ts';
export { parsePlace, type Place } from './place.ts';
export { planReferrers, type ReferrerSource } from './referrers.ts';
export type { Copy, CopyStatus, Write } from './target.ts';
export { toArchive } from './to-archive.ts';
export { toLayout } from './to-layout.ts';
export { toRegistry } from './to-registry.ts';
export { toStore } from './to-store.ts';
