import { rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { has } from '../measure.ts';
import type { Program } from '../program.ts';
import type { BenchRegistry } from '../registry.ts';
import { context, type Row } from '../row.ts';

const MB = 1_000_000;

/** A context of so many layers, each a file of random bytes, made when it is wanted. */
class Layers {
  readonly folder: string;
  readonly #make: () => void;
  #made = false;

  constructor(work: string, name: string, count: number, bytes: number) {
    this.folder = join(work, name);
    this.#make = () => {
      const names = Array.from({ length: count }, (_, index) => `f${index}`);
      context(work, name, ['FROM scratch', ...names.map((file) => `COPY ${file} /${file}`)].join('\n'));
      for (const file of names) writeFileSync(join(this.folder, file), randomBytes(bytes));
    };
  }

  make(): void {
    if (!this.#made) this.#make();
    this.#made = true;
  }
}

/** Pushes to a registry on loopback, against `skopeo copy` of the same blobs from a layout. */
export function pushRows(work: string, registry: BenchRegistry): Row[] {
  if (!has('docker-registry') || !has('skopeo')) return [];
  const copy = (layout: string, name: string): readonly string[] =>
    ['skopeo', 'copy', '-q', '--dest-tls-verify=false', `oci:${layout}:1`, `docker://${name}`]; // oxfmt-ignore
  const push = (program: Program, local: string, name: string): readonly string[] =>
    [program.bin, 'push', '-q', local, name]; // oxfmt-ignore
  /** The image in the store of each program, and as a layout for skopeo. */
  const store = (programs: readonly Program[], name: string, made: Layers): void => {
    made.make();
    for (const program of programs) program.run(program.build('-t', name, made.folder));
    const [first] = programs;
    const layout = join(work, `${name}-layout`);
    const save = [first?.bin ?? '', 'save', '--format', 'oci', '-o', `${layout}.tar`, name];
    first?.run(save);
    rmSync(layout, { recursive: true, force: true });
    const done = spawnSync('skopeo', ['copy', '-q', `oci-archive:${layout}.tar`, `oci:${layout}:1`], {
      encoding: 'utf8',
    });
    if (done.status !== 0) throw new Error(done.stderr);
  };
  const many = new Layers(work, 'push-many', 40, 20_000);
  const large = new Layers(work, 'push-large', 4, 50 * MB);
  const ten = new Layers(work, 'push-ten', 10, 20_000);
  return [
    {
      name: 'push of 40 layers that the registry has',
      rounds: 9,
      folder: many.folder,
      prepare: (programs) => store(programs, 'push-many', many),
      tsbuild: (program) => push(program, 'push-many', `${registry.host}/many:1`),
      skopeo: () => copy(join(work, 'push-many-layout'), `${registry.host}/many:1`),
      goal: '<= 0.5 x skopeo',
      met: (ours, { skopeo }) => !skopeo || ours.wall <= 0.5 * skopeo.wall,
    },
    {
      name: 'push of 40 layers that a registry has which is 20 ms away',
      rounds: 5,
      folder: many.folder,
      prepare: (programs) => store(programs, 'push-many', many),
      tsbuild: (program) => push(program, 'push-many', `${registry.distant}/many:1`),
      skopeo: () => copy(join(work, 'push-many-layout'), `${registry.distant}/many:1`),
      goal: '<= 0.5 x skopeo',
      met: (ours, { skopeo }) => !skopeo || ours.wall <= 0.5 * skopeo.wall,
    },
    {
      name: 'push of 200 MB in four new layers',
      rounds: 5,
      folder: large.folder,
      prepare: (programs) => store(programs, 'push-large', large),
      before: () => registry.empty(),
      beforeSkopeo: () => registry.empty(),
      tsbuild: (program) => push(program, 'push-large', `${registry.host}/large:1`),
      skopeo: () => copy(join(work, 'push-large-layout'), `${registry.host}/large:1`),
      goal: '<= 1.11 x skopeo, below 200 MB',
      met: (ours, { skopeo }) => (!skopeo || ours.wall <= 1.11 * skopeo.wall) && ours.peak < 200_000,
    },
    {
      name: 'build of 200 MB with --push, each layer sent while the next is compressed',
      rounds: 3,
      folder: large.folder,
      prepare: () => large.make(),
      before: (program) => {
        registry.empty();
        program.forget(true);
      },
      tsbuild: (program) => program.build('--push', '-t', `${registry.host}/large:2`, large.folder),
      goal: '(for information)',
      met: () => true,
    },
    {
      name: 'build --push, fully cached, of ten layers that the registry has',
      rounds: 9,
      folder: ten.folder,
      prepare: () => ten.make(),
      tsbuild: (program) => program.build('--push', '-t', `${registry.host}/ten:1`, ten.folder),
      goal: '< 250 ms',
      met: (ours) => ours.wall < 250,
    },
  ];
}
