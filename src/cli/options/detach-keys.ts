import { TsbuildError } from '../../util/index.ts';

/** Ctrl-P Ctrl-Q. */
export const DETACH_KEYS: Uint8Array = Buffer.from([0x10, 0x11]);

/**
 * The bytes of `--detach-keys`: keys with commas between them, each a letter or `ctrl-` and one of a-z, `@`, `[`, `\`, `]`, `^`, `_`. None for
 * an empty text: then nothing detaches.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseDetachKeys(text: string | undefined): Uint8Array {
  if (text === undefined) return DETACH_KEYS;
  if (text === '') return new Uint8Array();
  return Uint8Array.from(
    text.split(',').map((key) => {
      const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
      // As terminals have it: the lower five bits.
      if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
      if (/^[\u{21}-\u{7e}]$/u.test(key)) return key.charCodeAt(0);
      throw new TsbuildError('TSB_USAGE', `Cannot use --detach-keys ${JSON.stringify(text)}`, {
        hint: 'for example ctrl-p,ctrl-q or ctrl-x,x',
      });
    }),
  );
}

/** Looks for a sequence of keys in what is typed. Keys that may begin it wait for what follows them. */
export class DetachWatch {
  readonly #keys: Uint8Array;
  #matched = 0;

  constructor(keys: Uint8Array) {
    this.#keys = keys;
  }

  /** @returns what is to be passed on; undefined when the sequence is complete */
  take(piece: Uint8Array): Buffer | undefined {
    const keys = this.#keys;
    if (keys.length === 0) return Buffer.from(piece);
    const passed: number[] = [];
    for (const byte of piece) {
      while (this.#matched > 0 && byte !== keys[this.#matched]) this.#giveUpOne(passed);
      if (byte !== keys[this.#matched]) passed.push(byte);
      else if (++this.#matched === keys.length) return undefined;
    }
    return Buffer.from(passed);
  }

  /** The first of the keys that wait is none of the sequence: what is behind it may still be the beginning of one. */
  #giveUpOne(passed: number[]): void {
    const waiting = this.#keys.subarray(0, this.#matched);
    passed.push(waiting[0] ?? 0);
    let left = this.#matched - 1;
    while (left > 0 && !waiting.subarray(waiting.length - left).every((byte, at) => byte === this.#keys[at])) {
      passed.push(waiting[waiting.length - left] ?? 0);
      left--;
    }
    this.#matched = left;
  }
}
