import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ordinaryUser } from './identity.ts';
import { removeTree } from './remove-tree.ts';

let directory = '';

/** Makes the directory of what test files share, and the user that they share. Vitest's globalSetup. */
export async function setup(): Promise<void> {
  directory = mkdtempSync(join(tmpdir(), 'tsbuild-shared-'));
  // Others copy from it.
  chmodSync(directory, 0o711);
  process.env['TSBUILD_TEST_SHARED'] = directory;
  // Made here, for test files that begin at once would each make a part of it. Where it cannot be made, those say so that need it.
  await ordinaryUser().catch(() => undefined);
}

/** It is gone after the last of them. */
export async function teardown(): Promise<void> {
  await removeTree(directory);
}
