import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Measure, measure } from './measure.ts';

/** One build of tsbuild with a store of its own: that of this checkout, or the one to compare with. */
export class Program {
  readonly root: string;
  readonly store: string;
  readonly #work: string;
  readonly #name: string;

  /** @param root a checkout, built */
  constructor(root: string, work: string, name: string) {
    this.root = root;
    this.#work = work;
    this.#name = name;
    this.store = join(work, `store-${name}`);
  }

  get bin(): string {
    return join(this.root, 'bin/tsbuild');
  }

  /** Where an archive of that name goes. */
  out(name: string): string {
    return join(this.#work, `${name}-${this.#name}.tar`);
  }

  /** @param until as for `measure` */
  run(command: readonly string[], until?: string): Measure {
    return measure(this.#work, command, { TSBUILD_ROOT: this.store }, until);
  }

  build(...args: readonly string[]): readonly string[] {
    return [this.bin, 'build', '--progress', 'quiet', ...args];
  }

  /** `build` with an archive as its output. */
  archive(name: string, ...args: readonly string[]): readonly string[] {
    return this.build('-o', `type=oci,dest=${this.out(name)}`, ...args);
  }

  /** Drops every cached result; images stay, such as the base, unless `images`. */
  forget(images = false): void {
    this.run([this.bin, 'prune', '--all', '--force', ...(images ? ['--images'] : [])]);
  }

  remove(): void {
    this.forget(true);
    rmSync(this.store, { recursive: true, force: true });
  }
}
