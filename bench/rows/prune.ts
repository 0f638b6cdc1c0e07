import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Row } from '../row.ts';

const FILL = fileURLToPath(new URL('../prune.ts', import.meta.url));

/** Forgetting. */
export function pruneRows(work: string): Row[] {
  return [
    {
      name: 'prune of 2,000 records',
      rounds: 3,
      folder: join(work, 'rootfs'),
      before: ({ root, store }) => {
        const env = { ...process.env, TSBUILD_CHECKOUT: root };
        const filled = spawnSync(process.execPath, [FILL, 'fill', `${store}-prune`], { env, encoding: 'utf8' });
        if (filled.status !== 0) throw new Error(filled.stderr);
      },
      tsbuild: ({ bin, store }) => ['env', `TSBUILD_ROOT=${store}-prune`, bin, 'prune', '--all', '--force'],
      goal: '<= 500 ms',
      met: (ours) => ours.wall <= 500,
    },
  ];
}
