import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { has } from '../measure.ts';
import type { Program } from '../program.ts';
import type { BenchRegistry } from '../registry.ts';
import { context, type Row } from '../row.ts';

/** Twenty steps: every fifth a COPY, the others a RUN. */
const STEPS = Array.from({ length: 20 }, (_, at) => (at % 5 === 4 ? `COPY f${at} /` : `RUN echo ${at} > /step-${at}`));

/** Steps as long as people's are, which leave layers of 3 MB that nothing compresses. */
const LONG_STEPS = STEPS.map((_, at) => `RUN head -c 3000000 /dev/urandom > /step-${at}; sleep 0.2`);

/**
 * Runners with empty stores that share a cache in a registry.
 * @param importBase gives a store the base image again, which rows before may have taken away
 */
export function sharedRows(work: string, registry: BenchRegistry, importBase: (program: Program) => void): Row[] {
  if (!has('docker-registry')) return [];
  const folders = {
    near: join(work, 'shared-near'),
    far: join(work, 'shared-far'),
    long: join(work, 'shared-long'),
  };
  const base = (host: string): string => `${host}/bench-base:1`;
  /** The same Dockerfile on the same image, by either name of the registry. */
  const make = (place: 'near' | 'far', host: string): void => {
    context(work, `shared-${place}`, [`FROM ${base(host)}`, ...STEPS, ''].join('\n'));
    for (const step of STEPS) {
      const file = /^COPY (\S+)/.exec(step)?.[1];
      if (file !== undefined) writeFileSync(join(folders[place], file), file);
    }
  };
  let isFilled = false;
  /** The base image, pushed by the first row: after that no store has it. */
  const fill = (program: Program | undefined): void => {
    if (isFilled) return;
    isFilled = true;
    registry.empty();
    if (program) {
      importBase(program);
      program.run([program.bin, 'tag', 'localhost/bench-base:1', base(registry.host)]);
      program.run([program.bin, 'push', '-q', base(registry.host)]);
      program.run([program.bin, 'rmi', base(registry.host)]);
    }
    make('near', registry.host);
    context(work, 'shared-long', [`FROM ${base(registry.host)}`, ...LONG_STEPS, ''].join('\n'));
  };
  const shared = (host: string): readonly string[] => ['--push', '-t', `${host}/app:1`];
  const share = (programs: readonly Program[]): void => {
    fill(programs[0]);
    for (const program of programs) {
      program.forget();
      program.run(program.build('--cache-to', `${registry.host}/app:cache`, ...shared(registry.host), folders.near));
    }
  };
  /** A runner has nothing but what it is started with. */
  const fresh = (program: Program): void => program.forget(true);
  let caches = 0;
  const hit = (program: Program, host: string, folder: string): readonly string[] =>
    program.build('--cache-from', `${host}/app:cache`, ...shared(host), folder);
  const iidfile = join(work, 'shared.iid');
  const sharing = (
    what: string,
    folder: string = folders.near,
  ): Pick<Row, 'name' | 'rounds' | 'folder' | 'prepare' | 'before' | 'tsbuild'> & Required<Pick<Row, 'beside'>> => ({
    name: `20 steps, pushed, with each shared beside the build, beside the same without, ${what}`,
    rounds: 9,
    folder,
    prepare: (programs) => fill(programs[0]),
    before: fresh,
    tsbuild: (program) =>
      program.build(
        '--iidfile',
        iidfile,
        '--cache-to',
        `${registry.host}/cache-${caches++}:main`,
        ...shared(registry.host),
        folder,
      ),
    beside: (program) => program.build('--iidfile', iidfile, ...shared(registry.host), folder),
  });
  return [
    {
      name: 'fresh runner, 20 steps in the cache of the registry that it pushes to',
      rounds: 9,
      folder: folders.near,
      prepare: share,
      before: fresh,
      tsbuild: (program) => hit(program, registry.host, folders.near),
      goal: '< 600 ms',
      met: (ours) => ours.wall < 600,
    },
    {
      name: 'fresh runner, 20 steps in the cache of a registry that is 50 ms away',
      rounds: 5,
      folder: folders.far,
      prepare: (programs) => {
        share(programs);
        make('far', registry.away(50));
      },
      before: fresh,
      tsbuild: (program) => hit(program, registry.away(50), folders.far),
      goal: '< 1,500 ms',
      met: (ours) => ours.wall < 1500,
    },
    {
      ...sharing('until the image is out'),
      until: iidfile,
      goal: '<= 1.05 x without',
      met: (ours, { beside }) => ours.wall <= 1.05 * (beside?.wall ?? 0),
    },
    {
      ...sharing('each 0.2 s and 3 MB, until the image is out', folders.long),
      rounds: 5,
      until: iidfile,
      goal: '<= 1.05 x without',
      met: (ours, { beside }) => ours.wall <= 1.05 * (beside?.wall ?? 0),
    },
    // Most of it is the registry's own work, which sits on the same processors: no goal was set for that.
    { ...sharing('until all is shared'), goal: '-', met: () => true },
  ];
}
