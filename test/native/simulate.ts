/** The kernel's side of a seccomp filter: runs classic BPF over one call's data. */
export interface CallData {
  readonly arch: number;
  readonly nr: number;
  readonly args: readonly (number | bigint)[];
}

export const ALLOW = 0x7f_ff_00_00;
export const KILL = 0x80_00_00_00;
/** What a filter returns to make a call fail. */
export const errno = (number: number): number => 0x5_00_00 | number;

/** Gives what the filter returns. Throws for instructions that the kernel would not load and for running off the end. */
export function simulate(filter: Buffer, call: CallData): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.nr >>> 0, 0);
  data.writeUInt32LE(call.arch >>> 0, 4);
  for (const [index, value] of call.args.entries())
    data.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value)), 16 + 8 * index);
  let accumulator = 0;
  for (let at = 0; at * 8 < filter.length;) {
    const [code, jt, jf, k] = [
      filter.readUInt16LE(at * 8),
      filter[at * 8 + 2] ?? 0,
      filter[at * 8 + 3] ?? 0,
      filter.readUInt32LE(at * 8 + 4),
    ];
    at++;
    if (code === 0x06) return k;
    if (code === 0x20) accumulator = data.readUInt32LE(k);
    else if (code === 0x05) at += k;
    else if (code === 0x15) at += accumulator === k ? jt : jf;
    else if (code === 0x35) at += accumulator >= k ? jt : jf;
    else if (code === 0x45) at += (accumulator & k) === 0 ? jf : jt;
    else throw new Error(`unknown instruction ${code}`);
  }
  throw new Error('the filter has no end');
}
