import fs from 'node:fs';
import { join } from 'node:path';
import type { PublishedPort } from '../network/index.ts';
import type { Container } from './types.ts';

/** Where the ports of a container's last start are, in its directory. */
const FILE = 'ports.json';

/** Remembers which ports of the machine a container got, for as long as it is there. */
export class PortFile {
  readonly #container: Container;
  readonly #got: PublishedPort[] = [];

  constructor(container: Container) {
    this.#container = container;
  }

  /** The port that was asked for at `index` is this one of the machine. When all are known, they are written. */
  take(index: number, hostPort: number): PublishedPort | undefined {
    const { record, directory } = this.#container;
    const asked = record.ports?.[index];
    if (asked === undefined) return undefined;
    const { hostPortEnd: _range, ...port } = asked;
    this.#got[index] = { ...port, hostPort };
    if (this.#got.filter(Boolean).length === record.ports?.length) {
      const path = join(directory, FILE);
      // Renamed, so that nobody reads half of it.
      fs.writeFileSync(`${path}.new`, JSON.stringify(this.#got), { mode: 0o600 });
      fs.renameSync(`${path}.new`, path);
    }
    return asked;
  }
}

/** The ports of a container that runs, or ran last; none where it publishes none or was never started. */
export function readPorts({ directory }: Container): readonly PublishedPort[] {
  try {
    return JSON.parse(fs.readFileSync(join(directory, FILE), 'utf8')) as readonly PublishedPort[];
  } catch {
    return [];
  }
}
