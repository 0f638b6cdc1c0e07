import { mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Session } from './session.ts';

/** Where files are that go with the session. */
export function scratchDir({ store }: Session): string {
  using file = store.blobs.ingest();
  return dirname(file.path);
}

/** Does something with an empty directory on the store's file system, which is gone afterwards. */
export async function withScratch<T>(session: Session, work: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(scratchDir(session), 'scratch-'));
  try {
    return await work(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
