/** Named bytes in directories and buckets (`ObjectStore`): where caches of builds are kept. */
export { DirectoryStore } from './directory-store.ts';
export type { GetOptions, ObjectContent, ObjectStore, PutOptions, StoredObject } from './types.ts';
