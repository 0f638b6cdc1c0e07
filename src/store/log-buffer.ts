import fs from 'node:fs';
import { dirname } from 'node:path';

/** What is kept in memory before a file is begun: most steps print less, and nobody wants the log of one that succeeds. */
const MEMORY = 64 * 1024;

/** Bytes that are copied at a time. */
const PIECE = 1 << 20;

/**
 * Takes the output of a step and keeps the end of it, so many bytes, in a file that is written round and round. A disk that is full ends
 * the keeping, and nothing else.
 */
export class LogBuffer implements Disposable {
  readonly #path: string;
  readonly #limit: number;
  #memory: Uint8Array[] = [];
  #inMemory = 0;
  #fd: number | undefined;
  #broken = false;
  /** Bytes taken so far. */
  #taken = 0;

  /**
   * @param path of the file that is made when there is much; its directory is made, too
   * @param limit bytes
   */
  constructor(path: string, limit: number) {
    this.#path = path;
    this.#limit = limit;
  }

  /** Bytes of the beginning that are not kept. */
  get lost(): number {
    return Math.max(0, this.#taken - this.#limit);
  }

  get isEmpty(): boolean {
    return this.#taken === 0;
  }

  write(data: Uint8Array): void {
    if (this.#broken) return;
    this.#guard(() => {
      if (this.#fd === undefined && this.#inMemory + data.length <= MEMORY) {
        this.#memory.push(data);
        this.#inMemory += data.length;
        this.#taken += data.length;
        return;
      }
      if (this.#fd === undefined) this.#spill();
      this.#put(data);
    });
  }

  /** Writes what is kept behind what stands in a file. @returns false when it was not all kept */
  copyTo(fd: number): boolean {
    this.#guard(() => {
      for (const piece of this.#memory) writeAll(fd, piece);
      const from = this.#fd;
      if (from === undefined) return;
      const start = this.lost === 0 ? 0 : this.#taken % this.#limit;
      const end = Math.min(this.#taken, this.#limit);
      copy(from, fd, start, end);
      copy(from, fd, 0, start);
    });
    return !this.#broken;
  }

  [Symbol.dispose](): void {
    this.#memory = [];
    if (this.#fd === undefined) return;
    fs.closeSync(this.#fd);
    fs.rmSync(this.#path, { force: true });
    this.#fd = undefined;
  }

  #spill(): void {
    fs.mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    this.#fd = fs.openSync(this.#path, 'wx+', 0o600);
    this.#taken = 0;
    for (const piece of this.#memory) this.#put(piece);
    this.#memory = [];
  }

  #put(data: Uint8Array): void {
    const fd = this.#fd;
    if (fd === undefined) return;
    for (let at = 0; at < data.length;) {
      const position = this.#taken % this.#limit;
      const count = fs.writeSync(fd, data, at, Math.min(data.length - at, this.#limit - position), position);
      at += count;
      this.#taken += count;
    }
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch {
      this.#broken = true;
      this[Symbol.dispose]();
    }
  }
}

function copy(from: number, to: number, start: number, end: number): void {
  const buffer = Buffer.allocUnsafe(Math.min(PIECE, Math.max(1, end - start)));
  for (let at = start; at < end;) {
    const count = fs.readSync(from, buffer, 0, Math.min(buffer.length, end - at), at);
    if (count === 0) return;
    writeAll(to, buffer.subarray(0, count));
    at += count;
  }
}

function writeAll(fd: number, data: Uint8Array): void {
  for (let done = 0; done < data.length;) done += fs.writeSync(fd, data, done);
}
