import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let directory = '';

/** Makes the directory of what test files share. Vitest's globalSetup. */
export function setup(): void {
  directory = mkdtempSync(join(tmpdir(), 'tsbuild-shared-'));
  // Others copy from it.
  chmodSync(directory, 0o711);
  process.env['TSBUILD_TEST_SHARED'] = directory;
}

/** It is gone after the last of them. */
export function teardown(): void {
  rmSync(directory, { recursive: true, force: true });
}
