import { existsSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeContext, makeMixedFile } from '../data.ts';
import { context, type Row } from '../row.ts';

const COLD = 'COPY of 20,000 files to an OCI archive, cold';
const DOCKERFILE = 'FROM scratch\nCOPY d /d\n';

/** What a COPY costs, by number and by size of files. */
export function copyRows(work: string): Row[] {
  const many = context(work, 'many', DOCKERFILE);
  const crowd = context(work, 'crowd', DOCKERFILE);
  const large = context(work, 'large', DOCKERFILE);
  const touched = join(many, 'd', '000', 'f0.txt');
  let edits = 0;
  // Only for rows that are wanted, and once.
  const makeMany = (): void => {
    if (!existsSync(join(many, 'd'))) makeContext(join(many, 'd'), 20_000, 1500);
  };
  return [
    {
      name: COLD,
      rounds: 7,
      folder: many,
      prepare: makeMany,
      before: (program) => program.forget(),
      tsbuild: (program) => program.archive('many', many),
      buildah: ({ bud, push }) => [
        bud('--no-cache', '-t', 'bench-many', many),
        push('bench-many', join(work, 'many-b')),
      ],
      goal: '<= 0.12 x buildah',
      met: (ours, { buildah }) => !buildah || ours.wall <= 0.12 * buildah.wall,
    },
    {
      name: '… after touching one file',
      rounds: 3,
      folder: many,
      prepare: makeMany,
      before: () => utimesSync(touched, new Date(), new Date()),
      tsbuild: (program) => program.archive('many', many),
      goal: '<= 0.5 x cold',
      met: (ours, { others }) => ours.wall <= 0.5 * (others.get(COLD)?.wall ?? Infinity),
    },
    {
      name: '… after editing one file',
      rounds: 3,
      folder: many,
      prepare: makeMany,
      before: () => writeFileSync(touched, `edit ${edits++}\n`),
      tsbuild: (program) => program.archive('many', many),
      goal: '(for information)',
      met: () => true,
    },
    {
      name: 'COPY of 100,000 files to an OCI archive, cold',
      rounds: 2,
      folder: crowd,
      prepare: () => {
        if (!existsSync(join(crowd, 'd'))) makeContext(join(crowd, 'd'), 100_000, 300);
      },
      before: (program) => program.forget(),
      tsbuild: (program) => program.archive('crowd', crowd),
      goal: 'peak <= 200 MB',
      met: (ours) => ours.peak <= 200_000,
    },
    {
      name: '190 MB layer to an OCI archive, cold',
      rounds: 3,
      folder: large,
      prepare: () => {
        mkdirSync(join(large, 'd'));
        makeMixedFile(join(large, 'd', 'blob'), 190e6);
      },
      before: (program) => program.forget(),
      tsbuild: (program) => program.archive('large', large),
      buildah: ({ bud, push }) => [
        bud('--no-cache', '-t', 'bench-large', large),
        push('bench-large', join(work, 'large-b')),
      ],
      goal: '<= 0.5 x buildah, peak < 300 MB',
      met: (ours, { buildah }) => (!buildah || ours.wall <= 0.5 * buildah.wall) && ours.peak < 300_000,
    },
  ];
}
