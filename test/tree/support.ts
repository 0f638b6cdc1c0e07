import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Selector } from '../../src/tree/index.ts';

/** All of a tree, with what is in its files. */
export const whole: Selector = {
  path: '/',
  followLinks: true,
  wildcard: false,
  include: [],
  exclude: [],
  contents: true,
  required: [],
};

/** A temporary directory that goes away with its scope. */
export class TempDir {
  readonly path: string = fs.mkdtempSync(join(tmpdir(), 'tsbuild-tree-'));

  [Symbol.dispose](): void {
    fs.rmSync(this.path, { recursive: true, force: true });
  }

  /** Writes a file and the directories above it. */
  write(path: string, content = '', mode?: number): string {
    const full = join(this.path, path);
    fs.mkdirSync(join(full, '..'), { recursive: true });
    fs.writeFileSync(full, content);
    if (mode !== undefined) fs.chmodSync(full, mode);
    return full;
  }

  mkdir(path: string): string {
    const full = join(this.path, path);
    fs.mkdirSync(full, { recursive: true });
    return full;
  }

  link(target: string, path: string): void {
    this.mkdir(join(path, '..'));
    fs.symlinkSync(target, join(this.path, path));
  }
}
