import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const compiled = new Map<string, Uint8Array>();

/** A program of this folder, compiled so that it needs no libraries of the image it runs in. */
export function staticProgram(name: string): Uint8Array {
  const known = compiled.get(name);
  if (known) return known;
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-program-'));
  try {
    const source = fileURLToPath(new URL(`${name}.c`, import.meta.url));
    execFileSync('musl-gcc', ['-static', '-O1', '-Wall', '-Werror', '-o', join(dir, name), source]);
    const program = readFileSync(join(dir, name));
    compiled.set(name, program);
    return program;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
