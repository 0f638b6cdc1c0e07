import { TsbuildError } from '../util/index.ts';

/** Bytes of output of one LZMA2 chunk at most. */
const MAX_CHUNK = 1 << 21;
const MIN_MATCH = 2;
const HALF = 1024;

/**
 * Decodes LZMA2 chunks (the filter of .xz files) with a dictionary that grows as it is used.
 * The format is in the LZMA SDK's lzma-specification and in xz-file-format 1.2.
 */
export class Lzma2Decoder {
  readonly #dictionary: number;
  /** The last `#dictionary` bytes of output, and room for a chunk. */
  #window: Buffer;
  #at = 0;
  /** Bytes of output since the dictionary was reset: how far matches may reach back. */
  #reach = 0;

  #lc = 0;
  #lp = 0;
  #pb = 0;
  #state = 0;
  readonly #reps = [0, 0, 0, 0];
  #literals: Uint16Array = new Uint16Array(0);
  readonly #isMatch: Uint16Array = new Uint16Array(12 * 16);
  readonly #isRep: Uint16Array = new Uint16Array(12);
  readonly #isRepG0: Uint16Array = new Uint16Array(12);
  readonly #isRepG1: Uint16Array = new Uint16Array(12);
  readonly #isRepG2: Uint16Array = new Uint16Array(12);
  readonly #isRep0Long: Uint16Array = new Uint16Array(12 * 16);
  readonly #slots: Uint16Array = new Uint16Array(4 * 64);
  readonly #special: Uint16Array = new Uint16Array(128);
  readonly #align: Uint16Array = new Uint16Array(16);
  /** choice, choice2, low[16][8], mid[16][8], high[256] */
  readonly #lengths: Uint16Array = new Uint16Array(2 + 128 + 128 + 256);
  readonly #repLengths: Uint16Array = new Uint16Array(2 + 128 + 128 + 256);

  #input: Uint8Array = new Uint8Array();
  #next = 0;
  #range = 0;
  #code = 0;
  #needsDictionary = true;
  #needsProperties = true;

  /** @param dictionary size in bytes */
  constructor(dictionary: number) {
    this.#dictionary = dictionary;
    this.#window = Buffer.allocUnsafe(Math.min(dictionary, 1 << 20) + 2 * MAX_CHUNK);
  }

  /** A chunk that is stored as it is. */
  store(bytes: Uint8Array, resetDictionary: boolean): Buffer {
    if (resetDictionary) this.#resetDictionary();
    else if (this.#needsDictionary) throw damaged('it does not begin with a reset');
    this.#makeRoom();
    this.#window.set(bytes, this.#at);
    this.#advance(bytes.length);
    return Buffer.from(this.#window.subarray(this.#at - bytes.length, this.#at));
  }

  /**
   * A compressed chunk.
   * @param reset 0 nothing, 1 state, 2 state with new properties, 3 all
   */
  decode(bytes: Uint8Array, size: number, reset: number, properties: number): Buffer {
    if (reset === 3) this.#resetDictionary();
    else if (this.#needsDictionary) throw damaged('it does not begin with a reset');
    if (reset >= 2) this.#setProperties(properties);
    else if (this.#needsProperties) throw damaged('a chunk lacks its properties');
    if (reset >= 1) this.#resetState();
    this.#makeRoom();
    this.#input = bytes;
    this.#next = 5;
    this.#range = 0xffff_ffff;
    this.#code = (((bytes[1] ?? 0) << 24) | ((bytes[2] ?? 0) << 16) | ((bytes[3] ?? 0) << 8) | (bytes[4] ?? 0)) >>> 0;
    const start = this.#at;
    this.#run(start + size);
    this.#normalize();
    if (this.#next !== bytes.length || this.#code !== 0) throw damaged('a chunk does not end where it should');
    return Buffer.from(this.#window.subarray(start, this.#at));
  }

  #resetDictionary(): void {
    this.#reach = 0;
    this.#needsDictionary = false;
  }

  #setProperties(value: number): void {
    if (value >= 225) throw damaged('the properties of a chunk are malformed');
    this.#lc = value % 9;
    this.#lp = Math.floor(value / 9) % 5;
    this.#pb = Math.floor(value / 45);
    if (this.#lc + this.#lp > 4) throw damaged('the properties of a chunk are malformed');
    this.#literals = new Uint16Array(0x300 << (this.#lc + this.#lp));
    this.#needsProperties = false;
  }

  #resetState(): void {
    this.#state = 0;
    this.#reps.fill(0);
    for (const model of [
      this.#literals,
      this.#isMatch,
      this.#isRep,
      this.#isRepG0,
      this.#isRepG1,
      this.#isRepG2,
      this.#isRep0Long,
      this.#slots,
      this.#special,
      this.#align,
      this.#lengths,
      this.#repLengths,
    ]) {
      model.fill(HALF);
    }
  }

  /** Makes sure that a whole chunk fits behind the dictionary. */
  #makeRoom(): void {
    if (this.#at + MAX_CHUNK <= this.#window.length) return;
    const kept = Math.min(this.#reach, this.#dictionary, this.#at);
    const wanted = Math.min(this.#dictionary, kept * 2) + 2 * MAX_CHUNK;
    const from = this.#at - kept;
    if (wanted > this.#window.length) {
      const larger = Buffer.allocUnsafe(wanted);
      this.#window.copy(larger, 0, from, this.#at);
      this.#window = larger;
    } else this.#window.copyWithin(0, from, this.#at);
    this.#at = kept;
  }

  #advance(count: number): void {
    this.#at += count;
    this.#reach += count;
  }

  #run(end: number): void {
    const window = this.#window;
    const positionMask = (1 << this.#pb) - 1;
    // Positions count from the last reset of the dictionary.
    let position = this.#reach;
    while (this.#at < end) {
      const state = this.#state;
      const positionState = position & positionMask;
      if (this.#bit(this.#isMatch, state * 16 + positionState) === 0) {
        window[this.#at] = this.#literal(position);
        this.#advance(1);
        position++;
        continue;
      }
      const length = this.#match(state, positionState);
      if (length === 0) {
        position++;
        continue;
      }
      const distance = (this.#reps[0] as number) + 1;
      if (distance > Math.min(this.#reach, this.#dictionary) || this.#at + length > end) {
        throw damaged('a match reaches outside of the data');
      }
      for (let left = length, at = this.#at; left > 0; left--, at++) window[at] = window[at - distance] as number;
      this.#advance(length);
      position += length;
    }
  }

  /** Decodes a match into reps[0] and gives its length; 0 for a single byte, which is written here. */
  #match(state: number, positionState: number): number {
    const reps = this.#reps;
    if (this.#bit(this.#isRep, state) === 0) {
      reps[3] = reps[2] as number;
      reps[2] = reps[1] as number;
      reps[1] = reps[0] as number;
      this.#state = state < 7 ? 7 : 10;
      const length = this.#length(this.#lengths, positionState);
      reps[0] = this.#distance(length);
      return length + MIN_MATCH;
    }
    if (this.#bit(this.#isRepG0, state) === 0) {
      if (this.#bit(this.#isRep0Long, state * 16 + positionState) === 0) {
        const distance = (reps[0] as number) + 1;
        if (distance > Math.min(this.#reach, this.#dictionary)) throw damaged('a match reaches outside of the data');
        this.#state = state < 7 ? 9 : 11;
        this.#window[this.#at] = this.#window[this.#at - distance] as number;
        this.#advance(1);
        return 0;
      }
    } else {
      let index = 1;
      if (this.#bit(this.#isRepG1, state) !== 0) index = this.#bit(this.#isRepG2, state) === 0 ? 2 : 3;
      const [rep = 0] = reps.splice(index, 1);
      reps.unshift(rep);
    }
    this.#state = state < 7 ? 8 : 11;
    return this.#length(this.#repLengths, positionState) + MIN_MATCH;
  }

  #literal(position: number): number {
    const previous = this.#reach > 0 ? (this.#window[this.#at - 1] as number) : 0;
    const context = ((position & ((1 << this.#lp) - 1)) << this.#lc) + (previous >> (8 - this.#lc));
    const base = 0x300 * context;
    let symbol = 1;
    if (this.#state >= 7) {
      const distance = (this.#reps[0] as number) + 1;
      if (distance > this.#reach) throw damaged('a match reaches outside of the data');
      let matched = this.#window[this.#at - distance] as number;
      do {
        const matchBit = (matched >> 7) & 1;
        matched <<= 1;
        const bit = this.#bit(this.#literals, base + ((1 + matchBit) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (matchBit !== bit) break;
      } while (symbol < 0x100);
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(this.#literals, base + symbol);
    this.#state = this.#state < 4 ? 0 : this.#state < 10 ? this.#state - 3 : this.#state - 6;
    return symbol & 0xff;
  }

  #length(model: Uint16Array, positionState: number): number {
    if (this.#bit(model, 0) === 0) return this.#tree(model, 2 + positionState * 8, 3);
    if (this.#bit(model, 1) === 0) return 8 + this.#tree(model, 130 + positionState * 8, 3);
    return 16 + this.#tree(model, 258, 8);
  }

  #distance(length: number): number {
    const slot = this.#tree(this.#slots, Math.min(length, 3) * 64, 6);
    if (slot < 4) return slot;
    const count = (slot >> 1) - 1;
    const base = ((2 | (slot & 1)) << count) >>> 0;
    if (slot < 14) return base + this.#reverseTree(this.#special, base - slot, count);
    return base + this.#direct(count - 4) * 16 + this.#reverseTree(this.#align, 0, 4);
  }

  #tree(model: Uint16Array, base: number, count: number): number {
    let symbol = 1;
    for (let left = count; left > 0; left--) symbol = (symbol << 1) | this.#bit(model, base + symbol);
    return symbol - (1 << count);
  }

  #reverseTree(model: Uint16Array, base: number, count: number): number {
    let symbol = 1;
    let value = 0;
    for (let index = 0; index < count; index++) {
      const bit = this.#bit(model, base + symbol);
      symbol = (symbol << 1) | bit;
      value |= bit << index;
    }
    return value;
  }

  #direct(count: number): number {
    let value = 0;
    for (let left = count; left > 0; left--) {
      this.#normalize();
      this.#range >>>= 1;
      const bit = this.#code >= this.#range ? 1 : 0;
      if (bit === 1) this.#code -= this.#range;
      value = value * 2 + bit;
    }
    return value;
  }

  #bit(model: Uint16Array, index: number): 0 | 1 {
    this.#normalize();
    const probability = model[index] as number;
    const bound = (this.#range >>> 11) * probability;
    if (this.#code < bound) {
      this.#range = bound;
      model[index] = probability + ((2048 - probability) >> 5);
      return 0;
    }
    this.#range -= bound;
    this.#code -= bound;
    model[index] = probability - (probability >> 5);
    return 1;
  }

  #normalize(): void {
    if (this.#range >= 0x100_0000) return;
    if (this.#next >= this.#input.length) throw damaged('a chunk is cut off');
    this.#range = (this.#range << 8) >>> 0;
    this.#code = ((this.#code << 8) | (this.#input[this.#next++] as number)) >>> 0;
  }
}

function damaged(why: string): TsbuildError {
  return new TsbuildError('TSB_ARCHIVE', `Cannot decompress xz: ${why}`);
}
