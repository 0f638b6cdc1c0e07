import type { LogEvent } from '../events/index.ts';

const TAIL = 256 * 1024;

/**
 * Clips the output of one stream of a step, as BuildKit does: at a total size, and at a number of bytes per started second. What
 * was clipped last is shown when the step ends.
 */
export class LogLimit {
  readonly #started: number;
  readonly #maxSize: number;
  readonly #maxSpeed: number;
  #size = 0;
  #clipping = false;
  #tail: Uint8Array[] = [];
  #tailSize = 0;

  /** @param started time of the step's start; limits of -1 are none */
  constructor(started: number, maxSize: number, maxSpeed: number) {
    this.#started = started;
    this.#maxSize = maxSize;
    this.#maxSpeed = maxSpeed;
  }

  /** What to show of the next piece of output. */
  take({ data, at }: LogEvent): Uint8Array {
    // Says nothing about whether there is room again.
    if (data.length === 0) return data;
    const { bytes, reason } = this.#allowance(at);
    const room = Math.max(0, bytes - this.#size);
    this.#size += data.length;
    if (data.length <= room) {
      this.#clipping = false;
      return data;
    }
    const shown = data.subarray(0, room);
    this.#keep(data.subarray(room));
    if (this.#clipping) return shown;
    this.#clipping = true;
    return Buffer.concat([shown, Buffer.from(`\n[output clipped, log limit ${reason} reached]\n`)]);
  }

  /** The end of what was clipped. */
  rest(): Uint8Array {
    const all = Buffer.concat(this.#tail);
    this.#tail = [];
    this.#tailSize = 0;
    return all.subarray(Math.max(0, all.length - TAIL));
  }

  #allowance(at: number): { readonly bytes: number; readonly reason: string } {
    const size = this.#maxSize < 0 ? Infinity : this.#maxSize;
    const bySpeed =
      this.#maxSpeed < 0 ? Infinity : Math.max(1, Math.ceil((at - this.#started) / 1000)) * this.#maxSpeed;
    return bySpeed < size
      ? { bytes: bySpeed, reason: `${binary(this.#maxSpeed)}/s` }
      : { bytes: size, reason: binary(this.#maxSize) };
  }

  #keep(data: Uint8Array): void {
    this.#tail.push(data.slice());
    this.#tailSize += data.length;
    while (this.#tailSize - (this.#tail[0]?.length ?? 0) >= TAIL) this.#tailSize -= this.#tail.shift()?.length ?? 0;
  }
}

/** `2MiB`, `200KiB`. */
function binary(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toPrecision(4))}${units[unit] ?? ''}`;
}
