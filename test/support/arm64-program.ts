/**
 * Programs for arm64, assembled here: no compiler for it and nothing from the network is needed. Each is a static ELF file of a
 * few hundred bytes that makes system calls one after the other.
 */

/** Numbers of the generic system call table (asm-generic/unistd.h). */
const NUMBERS = { openat: 56, write: 64, exit: 93, uname: 160, execve: 221 } as const;

/** An argument: a number, bytes of the program's data, or the result of the call before. */
export type Argument = number | { readonly data: number } | 'result';

/** One system call. */
export type Call = readonly [keyof typeof NUMBERS, ...Argument[]];

const BASE = 0x40_0000;
/** Data stands in the second half of the file's one page, which is mapped for writing, too. */
const DATA = 0x800;

/** @param data put where `{ data: offset }` points to */
export function arm64Program(calls: readonly Call[], data: Uint8Array): Buffer {
  const words: number[] = [];
  /** `movz`, or `movn` for negative numbers, and `movk` for the upper half. */
  const load = (register: number, value: number): void => {
    if (value < 0) words.push(0x9280_0000 | (~value << 5) | register);
    else words.push(0xd280_0000 | ((value & 0xffff) << 5) | register);
    if (value > 0xffff) words.push(0xf2a0_0000 | ((value >>> 16) << 5) | register);
  };
  for (const [name, ...given] of calls) {
    for (const [register, argument] of given.entries()) {
      // The result is in x0, which must be the first argument, and stays there.
      if (argument === 'result') continue;
      load(register, typeof argument === 'number' ? argument : BASE + DATA + argument.data);
    }
    load(8, NUMBERS[name]);
    words.push(0xd400_0001);
  }
  const file = Buffer.alloc(0x1000);
  const [headerSize, segmentSize] = [64, 56];
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(183, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(BASE + headerSize + segmentSize), 24);
  file.writeBigUInt64LE(BigInt(headerSize), 32);
  for (const [index, value] of [headerSize, segmentSize, 1].entries()) file.writeUInt16LE(value, 52 + index * 2);
  const [PT_LOAD, ANYTHING] = [1, 7];
  file.writeUInt32LE(PT_LOAD, headerSize);
  file.writeUInt32LE(ANYTHING, headerSize + 4);
  for (const [index, value] of [0, BASE, BASE, file.length, file.length, 0x1000].entries())
    file.writeBigUInt64LE(BigInt(value), headerSize + 8 + index * 8);
  for (const [index, word] of words.entries()) file.writeUInt32LE(word >>> 0, headerSize + segmentSize + index * 4);
  file.set(data, DATA);
  return file;
}

const [AT_FDCWD, CREATE_AND_WRITE] = [-100, 0o101];

/** Writes what the kernel says the machine is (`aarch64`) to standard output and to a file. */
export function machineProgram(path: string): Buffer {
  const name = Buffer.from(`${path}\0`);
  // The fifth of the fields of struct utsname, 65 bytes each.
  const [uname, machine] = [256, 256 + 4 * 65];
  return arm64Program(
    [
      ['uname', { data: uname }],
      ['write', 1, { data: machine }, 7],
      ['openat', AT_FDCWD, { data: 0 }, CREATE_AND_WRITE, 0o644],
      ['write', 'result', { data: machine }, 7],
      ['exit', 0],
    ],
    name,
  );
}

/** Becomes another program. */
export function execProgram(path: string): Buffer {
  // The list of arguments: one pointer to the path, then none.
  const data = Buffer.alloc(128);
  data.write(`${path}\0`, 0);
  data.writeBigUInt64LE(BigInt(BASE + DATA), 64);
  return arm64Program(
    [
      ['execve', { data: 0 }, { data: 64 }, { data: 72 }],
      ['exit', 3],
    ],
    data,
  );
}
