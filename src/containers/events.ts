import fs from 'node:fs';
import { dirname, join } from 'node:path';
import type { Store } from '../store/index.ts';
import { RotatedLines } from './rotated-lines.ts';
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
  store: Pick<Store, 'now' | 'locks'>,
  container: Container,
  action: string,
  attributes?: Readonly<Record<string, string>>,
): void {
  const { id, name, record, directory } = container;
  const event: ContainerEvent = {
    time: new Date(store.now()).toISOString().replace('Z', '000000Z'),
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
    rotate(store, path);
  } catch {
    // A full disk, for instance.
  }
}

/** Begins a new file when one is full. Only one process does so at a time: a second one would put what was just begun in place of the older half. */
function rotate({ locks }: Pick<Store, 'locks'>, path: string): void {
  const isFull = (): boolean => (fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0) > LIMIT;
  if (!isFull()) return;
  const lock = locks.tryAcquire('container-events');
  if (lock === undefined) return;
  try {
    if (isFull()) fs.renameSync(path, `${path}.1`);
  } finally {
    lock.release();
  }
}

/** Reads events: those that are there, and what is added. */
export class EventReader implements Disposable {
  readonly #lines: RotatedLines;

  constructor(containers: string) {
    const path = eventFile(containers);
    this.#lines = new RotatedLines(() => [path, `${path}.1`]);
  }

  /** What was written since the last call; the first call begins with the oldest. */
  *read(): Generator<ContainerEvent> {
    for (const line of this.#lines.read()) {
      const event = parseEvent(line.toString('utf8'));
      if (event !== undefined) yield event;
    }
  }

  [Symbol.dispose](): void {
    this.#lines[Symbol.dispose]();
  }
}

/** What every line begins with, and what none has within: quotes of texts have a backslash before them. */
const BEGINNING = '{"time":"';

/** @returns undefined for a line that a power cut or a full disk has left; the event after such a one has no line of its own */
function parseEvent(line: string): ContainerEvent | undefined {
  try {
    const event = JSON.parse(line.slice(Math.max(0, line.lastIndexOf(BEGINNING)))) as Partial<ContainerEvent>;
    return typeof event.time === 'string' && typeof event.action === 'string' ? (event as ContainerEvent) : undefined;
  } catch {
    return undefined;
  }
}
