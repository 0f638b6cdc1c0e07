import { ENOSYS, EPERM, type Machine, profileFor, type Rule } from './profile.ts';

/** Columns of native/seccomp/syscalls.tsv. */
const ABIS = ['x86_64', 'i386', 'x32', 'arm64', 'arm'] as const;
type Abi = (typeof ABIS)[number];

/** Numbers by name, for every ABI. */
export type SyscallTable = ReadonlyMap<string, Readonly<Partial<Record<Abi, number>>>>;

/** AUDIT_ARCH_* values: what the kernel calls an ABI. x32 shares that of x86_64 and sets bit 30 of the number. */
const AUDIT_ARCH = { x86_64: 0xc0_00_00_3e, i386: 0x40_00_00_03, arm64: 0xc0_00_00_b7, arm: 0x40_00_00_28 } as const;
const X32_BIT = 0x40_00_00_00;

/** Classic BPF: an operation, two relative jumps, a constant. */
interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

const LOAD_WORD = 0x20;
const JUMP = 0x05;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const JUMP_BITS = 0x45;
const RETURN = 0x06;

const RET_ALLOW = 0x7f_ff_00_00;
const RET_KILL_PROCESS = 0x80_00_00_00;
const RET_ERRNO = 0x00_05_00_00;

/** Offsets in struct seccomp_data; all machines here are little-endian. */
const OFFSET_NUMBER = 0;
const OFFSET_ARCH = 4;
const offsetOfArgument = (index: number): number => 16 + 8 * index;

/** Parses native/seccomp/syscalls.tsv. */
export function parseSyscalls(text: string): SyscallTable {
  const table = new Map<string, Partial<Record<Abi, number>>>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const [name = '', ...numbers] = line.split('\t');
    const row: Partial<Record<Abi, number>> = {};
    for (const [index, abi] of ABIS.entries()) if (numbers[index] !== '-') row[abi] = Number(numbers[index]);
    table.set(name, row);
  }
  return table;
}

/**
 * The filter for a machine as the kernel takes it: an array of struct sock_filter, little-endian, 8 bytes each.
 * It covers the machine's 32-bit ABI too (and x32), as Docker's subarchitectures do; any other ABI kills the process.
 */
export function compileFilter(machine: Machine, syscalls: SyscallTable): Buffer {
  const rules = profileFor(machine);
  const block = (abi: Abi, bit = 0): Instruction[] => searchTree(rangesOf(abi, bit, rules, syscalls));
  const byNumber = load(OFFSET_NUMBER);
  const program = [
    load(OFFSET_ARCH),
    ...(machine === 'x64'
      ? [
          ...when(JUMP_EQUAL, AUDIT_ARCH.x86_64, [
            byNumber,
            ...when(JUMP_AT_LEAST, X32_BIT, block('x32', X32_BIT)),
            ...block('x86_64'),
          ]),
          ...when(JUMP_EQUAL, AUDIT_ARCH.i386, [byNumber, ...block('i386')]),
        ]
      : [
          ...when(JUMP_EQUAL, AUDIT_ARCH.arm64, [byNumber, ...block('arm64')]),
          ...when(JUMP_EQUAL, AUDIT_ARCH.arm, [byNumber, ...block('arm')]),
        ]),
    give(RET_KILL_PROCESS),
  ];
  return encode(program);
}

/** Numbers from `start` to the next range's start share a rule. */
interface Range {
  readonly start: number;
  readonly rule: Rule;
}

const DENY: Rule = { action: 'errno', errno: EPERM };
const UNKNOWN: Rule = { action: 'errno', errno: ENOSYS };

/** All 32-bit numbers as ranges, beginning at 0. `bit` is added to the ABI's numbers. */
function rangesOf(abi: Abi, bit: number, rules: ReadonlyMap<string, Rule>, syscalls: SyscallTable): readonly Range[] {
  const byNumber = new Map<number, Rule>();
  for (const [name, rule] of rules) {
    const number = syscalls.get(name)?.[abi];
    if (number !== undefined) byNumber.set(number + bit, rule);
  }
  const ranges: Range[] = [{ start: 0, rule: DENY }];
  const begin = (start: number, rule: Rule): void => {
    if (ranges.at(-1)?.start === start) ranges.pop();
    if (ranges.at(-1)?.rule !== rule) ranges.push({ start, rule });
  };
  for (const [number, rule] of [...byNumber].toSorted(([a], [b]) => a - b)) {
    begin(number, rule);
    begin(number + 1, DENY);
  }
  // Private calls of arm lie far above the common numbers; "newer than known" is about the latter.
  const known = Math.max(...[...byNumber.keys()].filter((number) => number - bit < 0x1_00_00));
  const later = ranges.filter(({ start }) => start > known + 1);
  const earlier = ranges.filter(({ start }) => start <= known);
  return [
    ...earlier,
    { start: known + 1, rule: UNKNOWN },
    ...later.map((range) => (range.rule === DENY ? { ...range, rule: UNKNOWN } : range)),
  ];
}

/** Binary search by number. Every path ends in a return. */
function searchTree(ranges: readonly Range[]): Instruction[] {
  const [only] = ranges;
  if (only === undefined) throw new RangeError('A filter needs at least one range');
  if (ranges.length === 1) return leaf(only.rule);
  const half = Math.ceil(ranges.length / 2);
  const upper = ranges.slice(half);
  const right = searchTree(upper);
  return [...when(JUMP_AT_LEAST, upper[0]?.start ?? 0, right), ...searchTree(ranges.slice(0, half))];
}

function leaf(rule: Rule): Instruction[] {
  if (rule.action === 'allow') return [give(RET_ALLOW)];
  if (rule.action === 'errno') return [give(RET_ERRNO | rule.errno)];
  const { condition } = rule;
  const deny = give(RET_ERRNO | EPERM);
  const allow = give(RET_ALLOW);
  const argument = load(offsetOfArgument(condition.argument));
  switch (condition.kind) {
    case 'no-bits':
      return [argument, ...when(JUMP_BITS, condition.mask, [deny]), allow];
    case 'in':
      return [argument, ...condition.values.flatMap((value) => when(JUMP_EQUAL, value, [allow])), deny];
    case 'not-in':
      return [argument, ...condition.values.flatMap((value) => when(JUMP_EQUAL, value, [deny])), allow];
    default:
      return condition satisfies never;
  }
}

/** BPF_LD: takes a word of the call into the accumulator. */
function load(offset: number): Instruction {
  return { code: LOAD_WORD, jt: 0, jf: 0, k: offset };
}

/** BPF_RET: ends with a verdict. */
function give(value: number): Instruction {
  return { code: RETURN, jt: 0, jf: 0, k: value >>> 0 };
}

/** `body`, which returns on every path, is passed over unless the comparison holds. Conditional jumps reach only 255 far. */
function when(code: number, k: number, body: readonly Instruction[]): Instruction[] {
  if (body.length <= 255) return [{ code, jt: 0, jf: body.length, k: k >>> 0 }, ...body];
  return [{ code, jt: 1, jf: 0, k: k >>> 0 }, { code: JUMP, jt: 0, jf: 0, k: body.length }, ...body];
}

/** `struct sock_filter`s, in the byte order of the machines that there are filters for. */
function encode(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, { code, jt, jf, k }] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(jt, index * 8 + 2);
    bytes.writeUInt8(jf, index * 8 + 3);
    bytes.writeUInt32LE(k, index * 8 + 4);
  }
  return bytes;
}
