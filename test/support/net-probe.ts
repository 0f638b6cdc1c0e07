import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

let compiled: Uint8Array | undefined;

/** The program of `net-probe.c`: static, with a resolver that needs no libraries of the image, as busybox's does. */
export function netProbe(): Uint8Array {
  if (compiled) return compiled;
  const dir = mkdtempSync(join(tmpdir(), 'tsbuild-probe-'));
  try {
    const source = fileURLToPath(new URL('net-probe.c', import.meta.url));
    execFileSync('musl-gcc', ['-static', '-O1', '-Wall', '-Werror', '-o', join(dir, 'probe'), source]);
    return (compiled = readFileSync(join(dir, 'probe')));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
