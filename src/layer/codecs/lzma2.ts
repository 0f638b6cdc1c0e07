const TOP = 0x1000000;
const HALF = 1024;
/** A chunk of LZMA2 holds at most so much. */
const MAX_CHUNK = 1 << 21;
const FIRST_MATCH_STATE = 7;

/** What is wrong with the data; turned into a proper error by the caller. */
export class LzmaFault extends Error {}

/**
 * Decodes the chunks of LZMA2 (xz, doc/xz-file-format.txt section 5.3.1; LZMA itself as in the public-domain LZMA
 * specification). Output stays in a window that holds at least the dictionary.
 */
export class Lzma2Decoder {
  readonly #dictionarySize: number;
  #window: Buffer;
  /** Where output goes on in the window, and where the dictionary starts. */
  #end = 0;
  #start = 0;

  // The range decoder.
  #input: Uint8Array = new Uint8Array(0);
  #at = 0;
  #range = 0;
  #code = 0;

  // The state of LZMA.
  #state = 0;
  readonly #reps = [0, 0, 0, 0];
  #literalContext = 0;
  #literalPosition = 0;
  #positionBits = 0;
  #position = 0;
  #needProperties = true;
  #needDictionary = true;
  readonly #isMatch = new Uint16Array(12 << 4);
  readonly #isRep = new Uint16Array(12);
  readonly #isRepG0 = new Uint16Array(12);
  readonly #isRepG1 = new Uint16Array(12);
  readonly #isRepG2 = new Uint16Array(12);
  readonly #isRep0Long = new Uint16Array(12 << 4);
  readonly #slots = new Uint16Array(4 << 6);
  readonly #distances = new Uint16Array(128);
  readonly #align = new Uint16Array(16);
  readonly #matchLengths: LengthModel = newLengthModel();
  readonly #repLengths: LengthModel = newLengthModel();
  readonly #literals = new Uint16Array(0x300 << 4);

  /** @param dictionarySize bytes */
  constructor(dictionarySize: number) {
    this.#dictionarySize = dictionarySize;
    // The window grows with what is written: small files with large dictionaries are common.
    this.#window = Buffer.allocUnsafeSlow(Math.min(dictionarySize, MAX_CHUNK) + 2 * MAX_CHUNK);
  }

  /** An uncompressed chunk. Returns its bytes, valid until the next chunk. */
  copy(data: Uint8Array, resetDictionary: boolean): Buffer {
    this.#begin(data.length, resetDictionary);
    const from = this.#end;
    this.#window.set(data, from);
    this.#end += data.length;
    this.#position += data.length;
    return this.#window.subarray(from, this.#end);
  }

  /**
   * A compressed chunk. Returns its bytes, valid until the next chunk.
   * @param reset 0 nothing, 1 the state, 2 also new properties, 3 also the dictionary
   */
  decode(data: Uint8Array, size: number, reset: number, properties: number): Buffer {
    this.#begin(size, reset === 3);
    if (reset >= 2) this.#setProperties(properties);
    else if (this.#needProperties) throw new LzmaFault('a chunk has no properties');
    if (reset >= 1) this.#resetState();
    if (data.length < 5 || data[0] !== 0) throw new LzmaFault('a chunk starts wrong');
    this.#input = data;
    this.#at = 5;
    this.#range = 0xffffffff;
    this.#code = new DataView(data.buffer, data.byteOffset).getUint32(1);
    const from = this.#end;
    this.#run(from + size);
    if (this.#at !== data.length || this.#code !== 0) throw new LzmaFault('a chunk ends wrong');
    return this.#window.subarray(from, this.#end);
  }

  /** Makes room, keeping the dictionary. */
  #begin(size: number, resetDictionary: boolean): void {
    if (resetDictionary) {
      this.#start = this.#end;
      this.#position = 0;
      this.#needDictionary = false;
      this.#needProperties = true;
    } else if (this.#needDictionary) throw new LzmaFault('the first chunk has no dictionary reset');
    if (this.#end + size <= this.#window.length) return;
    const keep = Math.min(this.#end - this.#start, this.#dictionarySize);
    const old = this.#window;
    const wanted = Math.min(this.#dictionarySize, keep * 2) + 2 * MAX_CHUNK;
    if (wanted > old.length) this.#window = Buffer.allocUnsafeSlow(wanted);
    old.copy(this.#window, 0, this.#end - keep, this.#end);
    this.#start = 0;
    this.#end = keep;
  }

  #setProperties(properties: number): void {
    if (properties > 224) throw new LzmaFault('a chunk has wrong properties');
    this.#literalContext = properties % 9;
    this.#literalPosition = Math.floor(properties / 9) % 5;
    this.#positionBits = Math.floor(properties / 45);
    if (this.#literalContext + this.#literalPosition > 4) throw new LzmaFault('a chunk has wrong properties');
    this.#needProperties = false;
  }

  #resetState(): void {
    this.#state = 0;
    this.#reps.fill(0);
    for (const model of [
      this.#isMatch,
      this.#isRep,
      this.#isRepG0,
      this.#isRepG1,
      this.#isRepG2,
      this.#isRep0Long,
      this.#slots,
      this.#distances,
      this.#align,
      this.#literals,
      ...Object.values(this.#matchLengths),
      ...Object.values(this.#repLengths),
    ])
      model.fill(HALF);
  }

  #run(limit: number): void {
    const positionMask = (1 << this.#positionBits) - 1;
    const window = this.#window;
    const first = this.#end;
    const base = this.#position - first;
    while (this.#end < limit) {
      const position = (base + this.#end) & positionMask;
      if (this.#bit(this.#isMatch, (this.#state << 4) + position) === 0) {
        this.#literal(base);
        continue;
      }
      let length: number;
      if (this.#bit(this.#isRep, this.#state) === 0) {
        const reps = this.#reps;
        reps[3] = reps[2] as number;
        reps[2] = reps[1] as number;
        reps[1] = reps[0] as number;
        length = this.#length(this.#matchLengths, position);
        reps[0] = this.#distance(length);
        this.#state = this.#state < FIRST_MATCH_STATE ? 7 : 10;
      } else length = this.#rep(position);
      const distance = (this.#reps[0] as number) + 1;
      let end = this.#end;
      if (distance > end - this.#start || distance > this.#dictionarySize)
        throw new LzmaFault('a match reaches too far back');
      if (length > limit - end) throw new LzmaFault('a match is too long');
      if (distance >= length) window.copyWithin(end, end - distance, end - distance + length);
      else for (let index = 0; index < length; index++) window[end + index] = window[end + index - distance] as number;
      end += length;
      this.#end = end;
    }
    this.#position += this.#end - first;
    this.#normalize();
  }

  #literal(base: number): void {
    const window = this.#window;
    const end = this.#end;
    const before = end > this.#start ? (window[end - 1] as number) : 0;
    const low = (base + end) & ((1 << this.#literalPosition) - 1);
    const offset = 0x300 * ((low << this.#literalContext) + (before >> (8 - this.#literalContext)));
    const model = this.#literals;
    let symbol = 1;
    if (this.#state >= FIRST_MATCH_STATE) {
      const distance = (this.#reps[0] as number) + 1;
      if (distance > end - this.#start) throw new LzmaFault('a match reaches too far back');
      let match = window[end - distance] as number;
      while (symbol < 0x100) {
        const matchBit = (match >> 7) & 1;
        match <<= 1;
        const bit = this.#bit(model, offset + ((1 + matchBit) << 8) + symbol);
        symbol = (symbol << 1) | bit;
        if (matchBit !== bit) break;
      }
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(model, offset + symbol);
    window[end] = symbol;
    this.#end = end + 1;
    const state = this.#state;
    this.#state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
  }

  /** A match at one of the last four distances; returns its length. */
  #rep(position: number): number {
    const state = this.#state;
    const reps = this.#reps;
    if (this.#bit(this.#isRepG0, state) === 0) {
      if (this.#bit(this.#isRep0Long, (state << 4) + position) === 0) {
        this.#state = state < FIRST_MATCH_STATE ? 9 : 11;
        return 1;
      }
    } else {
      let distance: number;
      if (this.#bit(this.#isRepG1, state) === 0) distance = reps[1] as number;
      else {
        if (this.#bit(this.#isRepG2, state) === 0) distance = reps[2] as number;
        else {
          distance = reps[3] as number;
          reps[3] = reps[2] as number;
        }
        reps[2] = reps[1] as number;
      }
      reps[1] = reps[0] as number;
      reps[0] = distance;
    }
    this.#state = state < FIRST_MATCH_STATE ? 8 : 11;
    return this.#length(this.#repLengths, position);
  }

  #length(model: LengthModel, position: number): number {
    if (this.#bit(model.choice, 0) === 0) return 2 + this.#tree(model.low, position << 3, 3);
    if (this.#bit(model.choice, 1) === 0) return 10 + this.#tree(model.mid, position << 3, 3);
    return 18 + this.#tree(model.high, 0, 8);
  }

  #distance(length: number): number {
    const slot = this.#tree(this.#slots, Math.min(length - 2, 3) << 6, 6);
    if (slot < 4) return slot;
    const direct = (slot >> 1) - 1;
    const high = 2 | (slot & 1);
    if (slot < 14) {
      const start = high << direct;
      return start + this.#reverseTree(this.#distances, start - slot, direct);
    }
    let value = high;
    for (let bit = 4; bit < direct; bit++) value = value * 2 + this.#directBit();
    return value * 16 + this.#reverseTree(this.#align, 0, 4);
  }

  #tree(model: Uint16Array, offset: number, bits: number): number {
    let symbol = 1;
    for (let bit = 0; bit < bits; bit++) symbol = (symbol << 1) | this.#bit(model, offset + symbol);
    return symbol - (1 << bits);
  }

  #reverseTree(model: Uint16Array, offset: number, bits: number): number {
    let symbol = 1;
    let value = 0;
    for (let index = 0; index < bits; index++) {
      const bit = this.#bit(model, offset + symbol);
      symbol = (symbol << 1) | bit;
      value |= bit << index;
    }
    return value;
  }

  #normalize(): void {
    if (this.#range >= TOP) return;
    this.#range = (this.#range << 8) >>> 0;
    this.#code = ((this.#code << 8) | (this.#input[this.#at++] ?? 0)) >>> 0;
  }

  #bit(model: Uint16Array, index: number): number {
    let range = this.#range;
    let code = this.#code;
    if (range < TOP) {
      range = (range << 8) >>> 0;
      code = ((code << 8) | (this.#input[this.#at++] as number)) >>> 0;
    }
    const probability = model[index] as number;
    const bound = (range >>> 11) * probability;
    if (code < bound) {
      model[index] = probability + ((2048 - probability) >> 5);
      this.#range = bound;
      this.#code = code;
      return 0;
    }
    model[index] = probability - (probability >> 5);
    this.#range = range - bound;
    this.#code = code - bound;
    return 1;
  }

  #directBit(): number {
    this.#normalize();
    this.#range >>>= 1;
    if (this.#code < this.#range) return 0;
    this.#code -= this.#range;
    return 1;
  }
}

interface LengthModel {
  readonly choice: Uint16Array;
  readonly low: Uint16Array;
  readonly mid: Uint16Array;
  readonly high: Uint16Array;
}

function newLengthModel(): LengthModel {
  return {
    choice: new Uint16Array(2),
    low: new Uint16Array(16 << 3),
    mid: new Uint16Array(16 << 3),
    high: new Uint16Array(256),
  };
}
