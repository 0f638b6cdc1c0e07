import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Program } from '../program.ts';
import { context, type Row } from '../row.ts';

const FILES = 3000;
const BYTES = 100_000;
/** Most bytes that a build with 1 % of changes may send. */
const MOST = 8e6;

/** Fills a mount with 300 MB of random bytes, or changes 30 of its 3,000 files. */
const DOCKERFILE = `FROM localhost/bench-base:1
ARG RUN
RUN --mount=type=cache,id=bench,target=/cache if [ -e /cache/f0 ]; then every=100; else every=1; fi; \\
  i=0; while [ $i -lt ${FILES} ]; do head -c ${BYTES} /dev/urandom > /cache/f$i; i=$((i + every)); done
`;

/** A cache mount that goes to a shared cache after each build. */
export function mountRows(work: string): Row[] {
  const folder = join(work, 'mounts');
  const cache = join(work, 'mounts-cache');
  let runs = 0;
  let before = 0;
  let sent = 0;
  const size = (): number => {
    const blobs = join(cache, 'blobs/sha256');
    return readdirSync(blobs).reduce((sum, name) => sum + statSync(join(blobs, name)).size, 0);
  };
  /** What the last build sent. */
  const count = (): void => {
    const now = size();
    if (before > 0) sent = Math.max(sent, now - before);
    before = now;
  };
  const build = (program: Program): readonly string[] => {
    const to = `type=local,dest=${cache},mounts=true`;
    return program.build('--build-arg', `RUN=${runs++}`, '-o', 'type=cacheonly', '--cache-to', to, folder);
  };
  return [
    {
      name: '300 MB cache mount, 1 % changed, step and export to a directory',
      rounds: 3,
      folder,
      prepare: (programs) => {
        context(work, 'mounts', DOCKERFILE);
        for (const program of programs) program.run(build(program));
      },
      before: count,
      tsbuild: build,
      goal: `<= ${MOST / 1e6} MB sent`,
      met: () => {
        count();
        console.error(`at most ${(sent / 1e6).toFixed(1)} MB sent of ${((FILES * BYTES) / 1e6).toFixed(0)} MB`);
        return sent > 0 && sent <= MOST;
      },
    },
  ];
}
