/** How programs of a processor look to the kernel, and how qemu calls it. */
export interface ElfKind {
  /** Name in qemu's programs: `qemu-aarch64-static`. */
  readonly qemu: string;
  readonly bits: 32 | 64;
  readonly littleEndian: boolean;
  /** `e_machine` of elf.h. */
  readonly machine: number;
  /** `e_flags`, where the kernel or qemu look at them. */
  readonly flags?: number;
  /** Machine code of `exit(0)`, in hexadecimal and in the order of memory. */
  readonly exit: string;
}

/** Without it no ARM kernel takes a program. */
const EABI_5 = 0x05000000;
/** Without it the entry of a program for POWER is the address of its address. */
const ELF_V2 = 2;

/** By Go's names; those that container images are made for and qemu emulates. */
const KINDS: Readonly<Record<string, ElfKind>> = {
  '386': { qemu: 'i386', bits: 32, littleEndian: true, machine: 3, exit: '31db b801000000 cd80' },
  amd64: { qemu: 'x86_64', bits: 64, littleEndian: true, machine: 62, exit: '31ff b83c000000 0f05' },
  arm: { qemu: 'arm', bits: 32, littleEndian: true, machine: 40, flags: EABI_5, exit: '0000a0e3 0170a0e3 000000ef' },
  arm64: { qemu: 'aarch64', bits: 64, littleEndian: true, machine: 183, exit: '000080d2 a80b80d2 010000d4' },
  loong64: { qemu: 'loongarch64', bits: 64, littleEndian: true, machine: 258, exit: '04008002 0b748102 00002b00' },
  mips64le: { qemu: 'mips64el', bits: 64, littleEndian: true, machine: 8, exit: 'c2130224 00000424 0c000000' },
  ppc64le: {
    qemu: 'ppc64le',
    bits: 64,
    littleEndian: true,
    machine: 21,
    flags: ELF_V2,
    exit: '01000038 00006038 02000044',
  },
  riscv64: { qemu: 'riscv64', bits: 64, littleEndian: true, machine: 243, exit: '13050000 9308d005 73000000' },
  s390x: { qemu: 's390x', bits: 64, littleEndian: false, machine: 22, exit: 'a7290000 0a01' },
};

/** Architectures that steps can be emulated for. */
export const emulatedArchitectures: readonly string[] = Object.keys(KINDS);

/** What is known of an architecture; undefined for others. */
export function elfKind(architecture: string): ElfKind | undefined {
  return Object.hasOwn(KINDS, architecture) ? KINDS[architecture] : undefined;
}

/** Bytes of a header by which programs are told apart. */
const MATCHED = 20;
const EXECUTABLE = 2;

/** Where things are in the headers of either size, in bytes. */
const PLACES = {
  32: { header: 52, program: 32 },
  64: { header: 64, program: 56 },
} as const;

/**
 * What the first bytes of a program of this kind are compared with, after masking. As qemu's own scripts have it: of any ABI, and a
 * position-independent executable (type 3) is one as well.
 */
export function elfPattern(kind: ElfKind): { readonly magic: Buffer; readonly mask: Buffer } {
  const mask = Buffer.alloc(MATCHED, 0xff);
  mask[7] = 0;
  mask[kind.littleEndian ? 16 : 17] = 0xfe;
  return { magic: header(kind).subarray(0, MATCHED), mask };
}

/** The smallest program of a kind: one that ends with exit code 0. */
export function smallestProgram(kind: ElfKind): Buffer {
  const code = Buffer.from(kind.exit.replaceAll(' ', ''), 'hex');
  const { header: headerSize, program } = PLACES[kind.bits];
  const at = headerSize + program;
  const [base, size] = [0x10000, at + code.length];
  const [PT_LOAD, READ_EXECUTE] = [1, 5];
  const put = writer(kind);
  const segment = Buffer.alloc(program);
  put(segment, 0, 4, PT_LOAD);
  // The flags moved when addresses became wider.
  put(segment, kind.bits === 64 ? 4 : 24, 4, READ_EXECUTE);
  const word = kind.bits / 8;
  const first = kind.bits === 64 ? 8 : 4;
  // Offset, virtual and physical address, size in the file and in memory.
  for (const [index, value] of [0, base, base, size, size].entries()) put(segment, first + index * word, word, value);
  put(segment, kind.bits === 64 ? 48 : 28, word, 0x10000);
  return Buffer.concat([header(kind, base + at), segment, code]);
}

/** The file header of a program with one segment. */
function header(kind: ElfKind, entry = 0): Buffer {
  const put = writer(kind);
  const { header: size, program } = PLACES[kind.bits];
  const bytes = Buffer.alloc(size);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, kind.bits === 64 ? 2 : 1, kind.littleEndian ? 1 : 2, 1]);
  put(bytes, 16, 2, EXECUTABLE);
  put(bytes, 18, 2, kind.machine);
  put(bytes, 20, 4, 1);
  const word = kind.bits / 8;
  put(bytes, 24, word, entry);
  put(bytes, 24 + word, word, size);
  const flags = 24 + 3 * word;
  put(bytes, flags, 4, kind.flags ?? 0);
  for (const [index, value] of [size, program, 1].entries()) put(bytes, flags + 4 + index * 2, 2, value);
  return bytes;
}

/** Writes numbers of 2, 4 or 8 bytes in the order of a processor. */
function writer({ littleEndian }: ElfKind): (bytes: Buffer, at: number, length: number, value: number) => void {
  return (bytes, at, length, value) => {
    const number = Buffer.alloc(8);
    if (littleEndian) number.writeBigUInt64LE(BigInt(value));
    else number.writeBigUInt64BE(BigInt(value));
    bytes.set(littleEndian ? number.subarray(0, length) : number.subarray(8 - length), at);
  };
}
