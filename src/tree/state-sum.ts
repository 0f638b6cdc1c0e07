import { type OwnedFileState, STATE_WORDS } from '../sys/index.ts';

const HIGH = 2 ** 32;

/** Room for the states of so many files, `STATE_WORDS` numbers for each. */
export function stateRows(files: number): Uint32Array {
  return new Uint32Array(files * STATE_WORDS);
}

/** Puts a state into a row, as src/sys does. */
export function putState(rows: Uint32Array, row: number, state: OwnedFileState): void {
  const at = row * STATE_WORDS;
  rows[at] = state.mode;
  rows[at + 1] = state.size;
  rows[at + 2] = state.size / HIGH;
  rows[at + 3] = state.mtimeSec;
  rows[at + 4] = Math.floor(state.mtimeSec / HIGH);
  rows[at + 5] = state.mtimeNsec;
  rows[at + 6] = state.ctimeSec;
  rows[at + 7] = Math.floor(state.ctimeSec / HIGH);
  rows[at + 8] = state.ctimeNsec;
  rows[at + 9] = state.inoLow;
  rows[at + 10] = state.inoHigh;
  rows[at + 11] = state.devMajor;
  rows[at + 12] = state.devMinor;
  rows[at + 13] = state.nlink;
  rows[at + 14] = state.uid;
}

/** Says in a row that there is no such file. */
export function clearState(rows: Uint32Array, row: number): void {
  rows.fill(0, row * STATE_WORDS, (row + 1) * STATE_WORDS);
}

/** The state in a row; undefined where there was no such file. */
export function getState(rows: Uint32Array, row: number): OwnedFileState | undefined {
  const at = row * STATE_WORDS;
  const mode = rows[at] ?? 0;
  if (mode === 0) return undefined;
  return {
    mode,
    nlink: rows[at + 13] ?? 0,
    uid: rows[at + 14] ?? 0,
    size: (rows[at + 2] ?? 0) * HIGH + (rows[at + 1] ?? 0),
    mtimeSec: ((rows[at + 4] ?? 0) | 0) * HIGH + (rows[at + 3] ?? 0),
    mtimeNsec: rows[at + 5] ?? 0,
    ctimeSec: ((rows[at + 7] ?? 0) | 0) * HIGH + (rows[at + 6] ?? 0),
    ctimeNsec: rows[at + 8] ?? 0,
    inoHigh: rows[at + 10] ?? 0,
    inoLow: rows[at + 9] ?? 0,
    devMajor: rows[at + 11] ?? 0,
    devMinor: rows[at + 12] ?? 0,
  };
}

/**
 * One number of 128 bits, in hex, for the states of many files in order: MurmurHash3 (A. Appleby, x86_128, seed 0), which takes 50 ns a
 * file here. It is against accidents: that other states give the same sum by chance happens once in 10^38. Whoever could choose states to
 * that end, times of change and inodes included, could have the build make what he likes without.
 */
export function stateSum(rows: Uint32Array): string {
  // Plain variables in one loop: few files are summed up in a start, so that most of it runs before V8 has compiled it.
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let at = 0; at < rows.length; at += 4) {
    let word = Math.imul(rows[at] ?? 0, C1);
    a ^= Math.imul((word << 15) | (word >>> 17), C2);
    a = (Math.imul(((a << 19) | (a >>> 13)) + b, 5) + 0x561ccd1b) | 0;
    word = Math.imul(rows[at + 1] ?? 0, C2);
    b ^= Math.imul((word << 16) | (word >>> 16), C3);
    b = (Math.imul(((b << 17) | (b >>> 15)) + c, 5) + 0x0bcaa747) | 0;
    word = Math.imul(rows[at + 2] ?? 0, C3);
    c ^= Math.imul((word << 17) | (word >>> 15), C4);
    c = (Math.imul(((c << 15) | (c >>> 17)) + d, 5) + 0x96cd1c35) | 0;
    word = Math.imul(rows[at + 3] ?? 0, C4);
    d ^= Math.imul((word << 18) | (word >>> 14), C1);
    d = (Math.imul(((d << 13) | (d >>> 19)) + a, 5) + 0x32ac3b17) | 0;
  }
  const length = rows.length * 4;
  const last = mixed([a ^ length, b ^ length, c ^ length, d ^ length]);
  return mixed([finish(last[0]), finish(last[1]), finish(last[2]), finish(last[3])])
    .map((part) => (part >>> 0).toString(16).padStart(8, '0'))
    .join('');
}

const C1 = 0x239b961b;
const C2 = 0xab0e9789;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93;

type Parts = readonly [number, number, number, number];

/** Each part gets something of all the others. */
function mixed([a, b, c, d]: Parts): Parts {
  const sum = (a + b + c + d) | 0;
  return [sum, (b + sum) | 0, (c + sum) | 0, (d + sum) | 0];
}

function finish(part: number): number {
  let value = Math.imul(part ^ (part >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return value ^ (value >>> 16);
}
