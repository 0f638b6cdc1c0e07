import fs from 'node:fs';
import { dirname, join } from 'node:path';
import type { Container } from './types.ts';

/** In `containers/`: what happened to containers, a line of JSON each; the older half has `.1` behind its name. */
const FILE = 'events';
/** Bytes after which a new file begins. */
const LIMIT = 1 << 20;

/** Something that happened to a container. */
export interface ContainerEvent {
  /** RFC 3339 in UTC. */
  readonly time: string;
  /** Docker's word: `create`, `start`, `die`, `destroy`, … */
  readonly action: string;
  readonly id: string;
  readonly name: string;
  /** As it was typed. */
  readonly image: string;
  readonly labels: Readonly<Record<string, string>>;
  /** What belongs to this one: `exitCode`, `signal`, `oldName`. */
  readonly attributes?: Readonly<Record<string, string>>;
}

/** Where events are written to. @param containers the directory of all containers */
export function eventFile(containers: string): string {
  return join(containers, FILE);
}

/** What does not change about a container, as JSON without its braces: the supervisor writes events, too (native/src/contain-events.c). */
export function eventFacts({ record }: Pick<Container, 'record'>): string {
  return JSON.stringify({ image: record.image.name, labels: record.labels }).slice(1, -1);
}

/** Appends an event; what cannot be written is not: whatever it tells of has happened. */
export function writeEvent(
  container: Container,
  action: string,
  now: number,
  attributes?: Readonly<Record<string, string>>,
): void {
  const { id, name, record, directory } = container;
  const event: ContainerEvent = {
    time: new Date(now).toISOString().replace('Z', '000000Z'),
    action,
    id,
    name,
    image: record.image.name,
    labels: record.labels,
    ...(attributes === undefined ? {} : { attributes }),
  };
  const path = eventFile(dirname(directory));
  try {
    // One write, so that lines of several processes never mix.
    fs.appendFileSync(path, `${JSON.stringify(event)}\n`, { mode: 0o600 });
    if (fs.statSync(path).size > LIMIT) fs.renameSync(path, `${path}.1`);
  } catch {
    // A full disk, for instance.
  }
}

const NEWLINE = 10;

/** Reads events: those that are there, and what is added. */
export class EventReader implements Disposable {
  readonly #path: string;
  #fd: number | undefined;
  #inode = 0;
  #rest: Buffer = Buffer.alloc(0);
  #begun = false;

  constructor(containers: string) {
    this.#path = eventFile(containers);
  }

  /** What was written since the last call; the first call begins with the oldest. */
  *read(): Generator<ContainerEvent> {
    if (!this.#begun) {
      this.#begun = true;
      this.#open(`${this.#path}.1`);
      yield* this.#readOn();
      this.#close();
    }
    if (this.#fd === undefined) this.#open(this.#path);
    yield* this.#readOn();
    // Another file has the name now; what was added to this one before that has been read.
    while (this.#fd !== undefined && this.#wasRotated()) {
      yield* this.#readOn();
      this.#close();
      this.#open(this.#path);
      yield* this.#readOn();
    }
  }

  #open(path: string): void {
    try {
      this.#fd = fs.openSync(path, 'r');
      this.#inode = fs.fstatSync(this.#fd).ino;
    } catch {
      this.#fd = undefined;
    }
  }

  #wasRotated(): boolean {
    const now = fs.statSync(this.#path, { throwIfNoEntry: false });
    return now !== undefined && now.ino !== this.#inode;
  }

  *#readOn(): Generator<ContainerEvent> {
    const piece = Buffer.alloc(65_536);
    while (this.#fd !== undefined) {
      const got = fs.readSync(this.#fd, piece, 0, piece.length, null);
      if (got === 0) return;
      let data = Buffer.concat([this.#rest, piece.subarray(0, got)]);
      for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE)) {
        const event = parseEvent(data.subarray(0, end).toString('utf8'));
        if (event !== undefined) yield event;
        data = data.subarray(end + 1);
      }
      this.#rest = data;
    }
  }

  #close(): void {
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = undefined;
    this.#rest = Buffer.alloc(0);
  }

  [Symbol.dispose](): void {
    this.#close();
  }
}

/** @returns undefined for a line that a power cut has left */
function parseEvent(line: string): ContainerEvent | undefined {
  try {
    const event = JSON.parse(line) as Partial<ContainerEvent>;
    return typeof event.time === 'string' && typeof event.action === 'string' ? (event as ContainerEvent) : undefined;
  } catch {
    return undefined;
  }
}
