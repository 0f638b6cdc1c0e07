import fs from 'node:fs';
import type { Server } from 'node:net';
import { join } from 'node:path';
import type { NamespacePlan } from '../../../src/sandbox/index.ts';

/** Root without a namespace: the helper's arguments are short then. */
export const PLAN: NamespacePlan = {
  how: 'none',
  uids: [],
  gids: [],
  idShift: 0,
  idCount: 65_536,
};

/**
 * A program in the place of the native helper: it does what a shell script says, with what it would tell on descriptor 4.
 * @returns its path
 */
export function fakeHelper(directory: string, script: string): string {
  const path = join(directory, 'helper');
  fs.writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return path;
}

/** Has a server listen at a socket of a directory, however long its path is: that of a socket has room for 108 bytes. */
export async function listenIn(server: Server, directory: string): Promise<void> {
  const fd = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(`/proc/self/fd/${fd}/socket`, resolve);
    });
  } finally {
    fs.closeSync(fd);
  }
}
