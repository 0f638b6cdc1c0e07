import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Measure } from './measure.ts';
import type { Program } from './program.ts';

/** The other builders that are there, as command lines; undefined where they are not. */
export interface Others {
  /** `buildah bud` with what it needs, and a push to an archive. */
  readonly buildah?: {
    readonly bud: (...args: readonly string[]) => readonly string[];
    readonly push: (name: string, file: string) => readonly string[];
  };
}

export interface Row {
  readonly name: string;
  readonly rounds: number;
  /** The context. */
  readonly folder: string;
  /** Makes the context, once, when the row is wanted. */
  readonly prepare?: (programs: readonly Program[]) => void;
  /** Prepares one round, not measured. */
  readonly before?: (program: Program) => void;
  /** The same for skopeo. */
  readonly beforeSkopeo?: () => void;
  readonly tsbuild: (program: Program) => readonly string[];
  readonly buildah?: (buildah: NonNullable<Others['buildah']>) => readonly (readonly string[])[];
  /** What `docker buildx build` gets besides the output to an archive, with the cache of its daemon. */
  readonly buildkit?: readonly string[];
  /** What skopeo does for the same. */
  readonly skopeo?: () => readonly string[];
  /** What the goal is stated in, prepared in the same way: the same build without an option, or find(1). */
  readonly beside?: (program: Program) => readonly string[];
  /** What is measured is the time until a command has written this file, and not its end. */
  readonly until?: string;
  /** What the goal is, and whether the medians meet it. */
  readonly goal: string;
  readonly met: (ours: Measure, compared: Compared) => boolean;
}

/** What a row's time is held against. */
export interface Compared {
  readonly buildah?: Measure;
  readonly buildkit?: Measure;
  readonly skopeo?: Measure;
  readonly beside?: Measure;
  /** `node -e 0`, ms. */
  readonly floor: number;
  /** Rows measured so far. */
  readonly others: ReadonlyMap<string, Measure>;
}

/** Makes a directory with a Dockerfile. */
export function context(work: string, name: string, dockerfile: string): string {
  const folder = join(work, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'Dockerfile'), dockerfile);
  return folder;
}
