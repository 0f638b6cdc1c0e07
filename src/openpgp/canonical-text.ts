const [CR, LF] = [0x0d, 0x0a];

/** Text as signatures of text have it: lines end with CR and LF, whatever they ended with. */
export class CanonicalText {
  #afterCr = false;

  convert(data: Uint8Array): Buffer {
    const made = Buffer.alloc(data.length * 2);
    let length = 0;
    for (const byte of data) {
      if (byte === LF && !this.#afterCr) made[length++] = CR;
      made[length++] = byte;
      this.#afterCr = byte === CR;
    }
    return made.subarray(0, length);
  }
}
