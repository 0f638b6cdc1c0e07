import { cpSync, existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeContext } from '../data.ts';
import { context, type Row } from '../row.ts';

const STEPS = [
  'ENV A=1', 'WORKDIR /app', 'COPY d /app/d', 'RUN echo 1', 'RUN echo 2', 'RUN echo 3', 'LABEL b=c', 'RUN echo 4', 'RUN echo 5',
  'CMD ["sh"]',
]; // oxfmt-ignore

/** Builds of which nothing has to run. */
export function cachedRows(work: string): Row[] {
  const ten = context(work, 'ten', `FROM localhost/bench-base:1\n${STEPS.join('\n')}\n`);
  makeContext(join(ten, 'd'), 2000, 1500);
  const cached = { rounds: 9, folder: ten };
  const fifty = context(work, 'fifty', 'FROM scratch\nCOPY d /d\n');
  const explained = context(work, 'explained', `FROM localhost/bench-base:1\n${STEPS.join('\n')}\n`);
  let edits = 0;
  return [
    {
      ...cached,
      name: 'cached rebuild, ten steps, 2,000 files',
      tsbuild: (program) => program.build('-t', 'bench-ten', ten),
      buildah: ({ bud }) => [bud('--layers', '-t', 'bench-ten', ten)],
      goal: '<= 2.5 x node -e 0, <= 0.15 x buildah',
      met: (ours, { floor, buildah }) => ours.wall <= 2.5 * floor && (!buildah || ours.wall <= 0.15 * buildah.wall),
    },
    {
      ...cached,
      name: 'cached rebuild to an OCI archive',
      tsbuild: (program) => program.archive('ten', ten),
      buildkit: [ten],
      goal: '<= 2.5 x node -e 0, <= 0.7 x BuildKit',
      met: (ours, { floor, buildkit }) => ours.wall <= 2.5 * floor && (!buildkit || ours.wall <= 0.7 * buildkit.wall),
    },
    {
      ...cached,
      name: 'cached rebuild to an OCI archive, after git clone again',
      // As a new clone has it: other inodes, other times, the same contents.
      before: () => {
        cpSync(ten, `${ten}.new`, { recursive: true });
        rmSync(ten, { recursive: true });
        renameSync(`${ten}.new`, ten);
      },
      tsbuild: (program) => program.archive('ten', ten),
      goal: '(for information)',
      met: () => true,
    },
    {
      name: 'cached rebuild of 50,000 files, beside find -printf',
      rounds: 9,
      folder: fifty,
      prepare: () => {
        if (!existsSync(join(fifty, 'd'))) makeContext(join(fifty, 'd'), 50_000, 300);
      },
      tsbuild: (program) => program.build('-t', 'bench-fifty', fifty),
      beside: () => ['sh', '-c', 'find "$0" -type f -printf "%s %T@\\n" > /dev/null', fifty],
      goal: '<= 1.5 x find + node -e 0',
      met: (ours, { beside, floor }) => ours.wall <= 1.5 * (beside?.wall ?? 0) + floor,
    },
    {
      name: 'ten steps after editing one of 2,000 files, --explain beside the same without',
      rounds: 15,
      folder: explained,
      prepare: () => makeContext(join(explained, 'd'), 2000, 1500),
      before: () => writeFileSync(join(explained, 'd', '000', 'f0.txt'), `edit ${edits++}\n`),
      tsbuild: (program) => program.build('--explain', '-t', 'bench-explained', explained),
      beside: (program) => program.build('-t', 'bench-explained', explained),
      goal: '<= 1.03 x without',
      met: (ours, { beside }) => ours.wall <= 1.03 * (beside?.wall ?? 0),
    },
  ];
}
