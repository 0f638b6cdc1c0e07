/** Named bytes in directories and buckets (`ObjectStore`): where caches of builds are kept. */
export { checkPrefix } from './key-prefixes.ts';
export { objectStoreId, openObjectStore, type ObjectStoreRequest, type OpenObjectStore } from './open.ts';
export type { GetOptions, ObjectContent, ObjectStore, PutOptions, StoredObject } from './types.ts';
