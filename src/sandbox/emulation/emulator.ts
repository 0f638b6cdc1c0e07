import { closeSync, openSync, readSync } from 'node:fs';
import { findProgram } from '../find-program.ts';
import type { Emulator } from '../types.ts';
import { elfKind, elfPattern } from './elf.ts';

/**
 * P: the program gets the name that it was called by. O: it is opened by the kernel, and need not be readable. C: set-user-ID bits count.
 * F: the interpreter is opened now, since it is not in a step's root.
 */
const FLAGS = 'POCF';

/**
 * qemu's emulator for an architecture, where the machine has it (Debian's qemu-user-static, newer qemu-user, Fedora's qemu-user-static).
 * @param find looks up a program of the machine by name
 */
export function findEmulator(
  architecture: string,
  find: (name: string) => string | undefined = findProgram,
): Emulator | undefined {
  const kind = elfKind(architecture);
  if (kind === undefined) return undefined;
  // Without libraries: a loader would be looked for in the step's root, where that of another processor is.
  const interpreter = [`qemu-${kind.qemu}-static`, `qemu-${kind.qemu}`]
    .map((name) => find(name))
    .find((path) => path !== undefined && !path.includes(':') && isStatic(path));
  if (interpreter === undefined) return undefined;
  const name = `tsbuild-${architecture}`;
  const { magic, mask } = elfPattern(kind);
  return { name, interpreter, rule: `:${name}:M:0:${escaped(magic)}:${escaped(mask)}:${interpreter}:${FLAGS}` };
}

function escaped(bytes: Buffer): string {
  return [...bytes].map((byte) => String.raw`\x${byte.toString(16).padStart(2, '0')}`).join('');
}

const PT_INTERP = 3;

/** Whether a 64-bit program of this machine needs no loader. */
function isStatic(path: string): boolean {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return false;
  }
  try {
    // Program headers stand right behind the file header in everything that linkers make.
    const start = Buffer.alloc(4096);
    const length = readSync(file, start, 0, start.length, 0);
    if (length < 64 || start.readUInt32BE(0) !== 0x7f454c46) return false;
    const [at, size, count] = [Number(start.readBigUInt64LE(32)), start.readUInt16LE(54), start.readUInt16LE(56)];
    if (size < 4 || at + size * count > length) return false;
    return Array.from({ length: count }, (_, index) => start.readUInt32LE(at + index * size)).every(
      (type) => type !== PT_INTERP,
    );
  } finally {
    closeSync(file);
  }
}
