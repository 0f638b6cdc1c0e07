import { isTsbuildError } from '../../src/util/index.ts';

/** What a graph is refused with; `accepted` where it is not. Any other error is a fault. */
export function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isTsbuildError(error, 'TSB_LLB')) return error.message;
    throw error;
  }
  return 'accepted';
}

/** A number below 2^53 as protobuf writes it. */
export function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 0x80) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) | 0x80);
  }
}
