import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { makeContext, makeMixedFile } from '../data.ts';
import { context, type Row } from '../row.ts';
import { Program } from '../program.ts';

const SECONDS = 3;

/** Steps, and the base image that they run on. */
export function stepRows(work: string, root: string): Row[] {
  const echo = (_: unknown, i: number): string => `RUN echo ${i}`;
  const twenty = context(
    work,
    'twenty',
    `FROM localhost/bench-base:1\n${Array.from({ length: 20 }, echo).join('\n')}\n`,
  );
  const stages = ['a', 'b', 'c', 'd'];
  const made = stages.map(
    (name) => `FROM localhost/bench-base:1 AS ${name}\nRUN sleep ${SECONDS} && echo ${name} > /${name}\n`,
  );
  const copied = stages.map((name) => `COPY --from=${name} /${name} /\n`);
  const four = context(work, 'four', `${made.join('')}FROM scratch\n${copied.join('')}`);
  const pulled = context(work, 'pulled', 'FROM base\nRUN true\n');
  const layout = join(work, 'base-layout');
  return [
    {
      name: 'twenty RUN echo, cold',
      rounds: 5,
      folder: twenty,
      before: (program) => program.forget(),
      tsbuild: (program) => program.build('--no-cache', '-t', 'bench-twenty', twenty),
      buildah: ({ bud }) => [bud('--no-cache', '-t', 'bench-twenty', twenty)],
      buildkit: ['--no-cache', twenty],
      goal: '<= 0.08 x buildah, <= 0.25 x BuildKit',
      met: (ours, { buildah, buildkit }) =>
        (!buildah || ours.wall <= 0.08 * buildah.wall) && (!buildkit || ours.wall <= 0.25 * buildkit.wall),
    },
    {
      name: `four independent stages of ${SECONDS} s`,
      rounds: 2,
      folder: four,
      before: (program) => program.forget(),
      tsbuild: (program) => program.build('--no-cache', '-t', 'bench-four', four),
      goal: `<= ${SECONDS} s + 15 %`,
      met: (ours) => ours.wall <= SECONDS * 1150,
    },
    {
      name: 'base of 190 MB from an OCI layout, one RUN',
      rounds: 3,
      folder: pulled,
      prepare: () => {
        if (!existsSync(layout)) makeBase(work, root, layout);
      },
      // The base goes too, and with it what was unpacked.
      before: (program) => program.forget(),
      tsbuild: (program) =>
        program.build('--no-cache', '--build-context', `base=oci-layout://${layout}`, '-t', 'bench-pulled', pulled),
      goal: 'peak <= 150 MB',
      met: (ours) => ours.peak <= 150_000,
    },
  ];
}

/** The base with 190 MB in 5,000 small files and a large one. */
function makeBase(work: string, root: string, layout: string): void {
  const base = context(work, 'big-base', 'FROM localhost/bench-base:1\nCOPY d /d\nCOPY blob /blob\n');
  makeContext(join(base, 'd'), 5000, 8000);
  makeMixedFile(join(base, 'blob'), 150e6);
  const program = new Program(root, work, 'ours');
  program.run(program.build('-o', `type=oci,tar=false,dest=${layout}`, base));
}
