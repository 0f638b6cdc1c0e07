import fs from 'node:fs';
import { join } from 'node:path';
import type { RemoveTrees, Store } from '../store/index.ts';
import { errnoOf, fromErrno, makeDirectory, randomHex, suggest, TsbuildError } from '../util/index.ts';
import { isObject, readRecord } from './record-file.ts';
import type { Container } from './types.ts';

/** In the directory of a volume without a name, where more than the container that it was made for has had it. */
const SHARED = 'shared';

/** A directory that containers share, and that outlives them. */
export interface Volume {
  readonly name: string;
  /** What is mounted. */
  readonly directory: string;
  /** RFC 3339. */
  readonly created: string;
  readonly labels: Readonly<Record<string, string>>;
  /** It was made for one container, which has no name for it. */
  readonly anonymous: boolean;
  /** Another container has had it, too: it goes with neither. */
  readonly shared: boolean;
}

/** `volume.json` */
type WrittenVolume = Pick<Volume, 'created' | 'labels' | 'anonymous'>;

function isWhole({ created, labels, anonymous }: Partial<WrittenVolume>): boolean {
  return typeof created === 'string' && isObject(labels) && typeof anonymous === 'boolean';
}

/** Nothing takes it away by itself. @param directory of the volume */
function unknownVolume(directory: string): WrittenVolume {
  return { created: fs.statSync(directory).birthtime.toISOString(), labels: {}, anonymous: false };
}

/** The volumes of a store: `volumes/<name>/`, with `volume.json` and, under `data`, what is in it. */
export class Volumes {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  get root(): string {
    return this.#store.layout.volumes;
  }

  /** All of them, by name. */
  list(): readonly Volume[] {
    if (!fs.existsSync(this.root)) return [];
    return fs
      .readdirSync(this.root)
      .filter((name) => !name.startsWith('.'))
      .toSorted()
      .flatMap((name) => this.lookUp(name) ?? []);
  }

  /** Where what is known of a volume is damaged, it is one without labels: what is in it is what counts. @throws TsbuildError `TSB_STORE` */
  lookUp(name: string): Volume | undefined {
    if (!isVolumeName(name)) return undefined;
    const own = join(this.root, name);
    const directory = this.#dataOf(name);
    try {
      const written = readRecord<WrittenVolume>(join(own, 'volume.json'), isWhole);
      if (written === undefined) return undefined;
      const known = written === 'damaged' ? unknownVolume(own) : written;
      return { ...known, name, directory, shared: fs.existsSync(join(own, SHARED)) };
    } catch (error) {
      throw fromErrno(error, `Cannot read volume ${JSON.stringify(name)}`, 'TSB_STORE');
    }
  }

  /** @throws TsbuildError `TSB_NOT_FOUND` */
  find(name: string): Volume {
    const found = this.lookUp(name);
    if (found !== undefined) return found;
    const near = suggest(
      name,
      this.list().map((volume) => volume.name),
    );
    throw new TsbuildError('TSB_NOT_FOUND', `No such volume: ${name}`, {
      hint: near === undefined ? '"tsbuild volume ls" lists them' : `did you mean ${JSON.stringify(near)}?`,
    });
  }

  /**
   * The volume of that name, made unless it is there: as a whole or not at all.
   * @param name undefined: one is made up, for a volume without a name
   * @param idShift who owns what images own by root
   */
  ensure(
    name: string | undefined,
    idShift: number,
    labels: Readonly<Record<string, string>> = {},
    anonymous: boolean = name === undefined,
  ): Volume {
    const wanted = checkVolumeName(name ?? randomHex(32));
    const there = this.lookUp(wanted);
    if (there !== undefined) return there;
    const making = join(this.root, `.new-${randomHex(8)}`);
    try {
      fs.mkdirSync(making, { recursive: true, mode: 0o700 });
      makeDirectory(join(making, 'data'), 0o755);
      const created = new Date(this.#store.now()).toISOString();
      fs.writeFileSync(join(making, 'volume.json'), `${JSON.stringify({ created, labels, anonymous })}\n`, {
        mode: 0o600,
      });
      if (idShift > 0) for (const path of [join(making, 'data'), making]) fs.chownSync(path, idShift, idShift);
      fs.renameSync(making, join(this.root, wanted));
    } catch (error) {
      fs.rmSync(making, { recursive: true, force: true });
      // Another command was first.
      const other = this.lookUp(wanted);
      if (other !== undefined) return other;
      throw fromErrno(error, `Cannot make volume ${JSON.stringify(wanted)}`, 'TSB_STORE');
    }
    return this.find(wanted);
  }

  /** Says that another container gets it: from then on it goes with none of them. The supervisor of the first looks, too (`contain.c`). */
  share({ name, anonymous, shared }: Volume): void {
    if (!anonymous || shared) return;
    try {
      fs.writeFileSync(join(this.root, name, SHARED), '', { mode: 0o600 });
    } catch (error) {
      throw fromErrno(error, `Cannot share volume ${name}`, 'TSB_STORE');
    }
  }

  /** Removes one that no container has. @throws TsbuildError `TSB_STORE` when one has */
  async remove(volume: Volume, containers: readonly Container[], removeTrees: RemoveTrees): Promise<void> {
    const users = usersOf(volume, containers);
    if (users.length > 0)
      throw new TsbuildError(
        'TSB_STORE',
        `Cannot remove volume ${volume.name}: ${users.map(({ name }) => `container ${name}`).join(' and ')} has it`,
        { hint: `remove what uses it first: tsbuild rm -f ${users.map(({ name }) => name).join(' ')}` },
      );
    const aside = join(this.#store.layout.garbage, randomHex(16));
    try {
      fs.mkdirSync(this.#store.layout.garbage, { recursive: true, mode: 0o700 });
      fs.renameSync(join(this.root, volume.name), aside);
    } catch (error) {
      // Another command has removed it.
      if (errnoOf(error) === 'ENOENT') return;
      throw fromErrno(error, `Cannot remove volume ${volume.name}`, 'TSB_STORE');
    }
    await removeTrees([aside]);
  }

  #dataOf(name: string): string {
    return join(this.root, name, 'data');
  }
}

/** Containers that have a volume, whether they run or not. */
export function usersOf({ name }: Pick<Volume, 'name'>, containers: readonly Container[]): readonly Container[] {
  return containers.filter(({ record }) =>
    (record.step.mounts ?? []).some((mount) => mount.type === 'bind' && mount.volume === name),
  );
}

/** Whether something can be the name of a volume; what cannot is a path. */
export function isVolumeName(name: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/.test(name);
}

function checkVolumeName(name: string): string {
  if (isVolumeName(name)) return name;
  throw new TsbuildError('TSB_USAGE', `Cannot name a volume ${JSON.stringify(name)}`, {
    hint: 'a name has letters, digits and "_", "." or "-", and begins with a letter or digit',
  });
}
