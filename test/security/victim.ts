import { randomBytes } from 'node:crypto';
import { lchownSync, lstatSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Bench } from '../support/bench.ts';

/**
 * A directory of the machine that nothing which a build is given may read or change. It belongs to whoever runs the build, so that only
 * the build's own care keeps it as it is.
 */
export class Victim {
  readonly dir: string;
  /** What its file `hello` holds, and nothing else on the machine. */
  readonly bytes: string = randomBytes(16).toString('hex');
  /** Its path from any directory, climbing first. */
  readonly up: string;
  readonly #before: string;

  constructor({ dir, who }: Bench) {
    this.dir = join(dir, 'victim');
    this.up = `${'../'.repeat(12)}${this.dir.slice(1)}`;
    mkdirSync(join(this.dir, 'subdir'), { recursive: true });
    writeFileSync(join(this.dir, 'hello'), this.bytes);
    writeFileSync(join(this.dir, 'empty'), '');
    for (const name of ['hello', 'empty', 'subdir', '.']) {
      lchownSync(join(this.dir, name), who.uid, who.gid);
      utimesSync(join(this.dir, name), 1000, 1000);
    }
    this.#before = this.#look();
  }

  /** Its entries, their bytes, modes, owners, times and links are what they were, and its bytes are in none of these. */
  expectUntouched(...outputs: readonly (string | Uint8Array)[]): void {
    expect(this.#look()).toBe(this.#before);
    for (const output of outputs) expect(Buffer.from(output).includes(this.bytes)).toBe(false);
  }

  #look(): string {
    return JSON.stringify(
      ['.', ...readdirSync(this.dir).toSorted()].map((name) => {
        const { mode, uid, gid, mtimeMs, nlink, size } = lstatSync(join(this.dir, name));
        return [name, mode, uid, gid, mtimeMs, nlink, size];
      }),
    );
  }
}
