import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findSeccompFilter } from '../../src/sandbox/index.ts';
import type { Bench, Outcome, RunOptions } from './bench.ts';

/** What a container is like. */
export interface ContainerKind {
  /** `docker`: with docker's seccomp profile, which lets nobody without CAP_SYS_ADMIN make namespaces; `none`: without any. */
  readonly seccomp: 'docker' | 'none';
  /** Who runs the command; `privileged` is root with all capabilities, all others have docker's. */
  readonly user: 'privileged' | number;
}

const source = fileURLToPath(new URL('./container.c', import.meta.url));

/**
 * A container as engines make it by default, without an engine: the machine's files beneath an overlay of its own, parts of /proc hidden.
 * Commands of one container find what the ones before have left. As root of the machine only.
 */
export class Container {
  readonly #bench: Bench;
  readonly #kind: ContainerKind;
  readonly #dir: string;
  readonly #program: string;

  constructor(bench: Bench, name: string, kind: ContainerKind) {
    this.#bench = bench;
    this.#kind = kind;
    this.#dir = bench.path(`container-${name}`);
    mkdirSync(this.#dir);
    this.#program = bench.path('container');
    if (!existsSync(this.#program))
      execFileSync('cc', ['-Wall', '-Wextra', '-Werror', '-O1', '-o', this.#program, source]);
  }

  /** The store of this container, on its own file system: nothing of this path is seen outside. */
  get store(): string {
    return '/var/tmp/store-in-container';
  }

  /** Runs `tsbuild` in the container. */
  tsbuild(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return this.run(this.#bench.command(args), options);
  }

  run(command: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const { seccomp, user } = this.#kind;
    const filter = seccomp === 'docker' ? findSeccompFilter() : '-';
    return this.#bench.start([this.#program, filter, this.#dir, String(user), ...command], {
      store: this.store,
      ...options,
      asSelf: true,
    }).ended;
  }
}
