// Compiles the seccomp filters that ship with tsbuild: node scripts/build-seccomp.ts
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { compileFilter, parseSyscalls } from '../src/sandbox/seccomp/compile.ts';

const directory = fileURLToPath(new URL('../native/seccomp/', import.meta.url));
const syscalls = parseSyscalls(readFileSync(`${directory}syscalls.tsv`, 'utf8'));
for (const machine of ['x64', 'arm64'] as const) {
  const filter = compileFilter(machine, syscalls);
  writeFileSync(`${directory}${machine}.bpf`, filter);
  process.stderr.write(`native/seccomp/${machine}.bpf: ${filter.length / 8} instructions\n`);
}
