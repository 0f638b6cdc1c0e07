import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hostPlatform, type Platform } from '../../image/index.ts';
import { elfKind, smallestProgram } from './elf.ts';
import type { Emulator } from '../types.ts';
import { findEmulator } from './emulator.ts';
import { type RegisteredFormat, readFormats, takes } from './formats.ts';

/** What is asked of the machine; tests have others. */
export interface EmulationOptions {
  /** A directory for a program that is tried; files there can be executed. Asked when it is needed. */
  readonly scratchDir: () => string;
  readonly host?: Platform;
  readonly find?: (name: string) => string | undefined;
  readonly formats?: () => readonly RegisteredFormat[];
}

/** Architectures whose 32-bit programs the processor may execute as well. */
const NARROWER: Readonly<Record<string, string>> = { amd64: '386', arm64: 'arm' };

/** Who executes the programs of another platform. */
export class Emulation {
  readonly #options: EmulationOptions;
  readonly #known = new Map<string, Emulator | undefined>();

  constructor(options: EmulationOptions) {
    this.#options = options;
  }

  get host(): Platform {
    return this.#options.host ?? hostPlatform();
  }

  /** Whether the platform has another instruction set than this machine. */
  isForeign({ architecture }: Pick<Platform, 'architecture'>): boolean {
    return architecture !== '' && architecture !== this.host.architecture;
  }

  /**
   * The emulator that a step for this platform must be given. None where the processor executes such programs by itself, where the machine
   * hands them to an emulator of its own, and where there is none: what the image says of itself may be wrong, so that the step is tried.
   */
  emulatorFor(platform: Pick<Platform, 'architecture'>): Emulator | undefined {
    if (!this.isForeign(platform)) return undefined;
    const { architecture } = platform;
    // Asked once: looking through PATH and reading headers is not for every step.
    if (!this.#known.has(architecture)) this.#known.set(architecture, this.#find(architecture));
    return this.#known.get(architecture);
  }

  /** Whether the machine's own list has an emulator that works in every root. */
  isRegistered(architecture: string): boolean {
    return this.#registered(architecture).some(({ isFixed }) => isFixed);
  }

  /** Whether it has one that is looked for in each root, where it is not. */
  isUnfixed(architecture: string): boolean {
    return this.#registered(architecture).some(({ isFixed }) => !isFixed);
  }

  #registered(architecture: string): readonly RegisteredFormat[] {
    const kind = elfKind(architecture);
    if (kind === undefined) return [];
    const program = smallestProgram(kind);
    return (this.#options.formats ?? readFormats)().filter((format) => takes(format, program));
  }

  /** Whether the processor, or whatever the machine has for that, executes a program of this kind outside a step. */
  executes(architecture: string): boolean {
    const kind = elfKind(architecture);
    if (kind === undefined) return false;
    const dir = mkdtempSync(join(this.#options.scratchDir(), 'program-'));
    try {
      const path = join(dir, 'program');
      writeFileSync(path, smallestProgram(kind), { mode: 0o700 });
      return spawnSync(path, { env: {}, stdio: 'ignore', timeout: 10_000 }).status === 0;
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  }

  #find(architecture: string): Emulator | undefined {
    // A list of the builder's own hides the machine's.
    if (this.isRegistered(architecture)) return undefined;
    const emulator = findEmulator(architecture, this.#options.find);
    // The kernel asks its formats before it looks whether the processor can do it, which is faster.
    if (emulator && NARROWER[this.host.architecture] === architecture && this.executes(architecture)) return undefined;
    return emulator;
  }
}
