import fs from 'node:fs';
import { join } from 'node:path';
import type { LeaseNames, Lock, RemoveTrees, Store } from '../store/index.ts';
import { errnoOf, fromErrno, makeDirectory, TsbuildError } from '../util/index.ts';
import { writeEvent } from './events.ts';
import { ContainerLookup } from './lookup.ts';
import { checkName, generateName } from './names.ts';
import { isLive, isSupervised, readState, writeLost } from './state.ts';
import type { Container, ContainerRecord, ContainerState } from './types.ts';

const TRIES = 20;
/** What is not a container after so long never becomes one: making one takes some ms. */
const MAKING_MS = 60_000;

/** The containers of a store. */
export class Containers extends ContainerLookup {
  readonly #store: Store;

  constructor(store: Store) {
    super(store.layout.containers);
    this.#store = store;
  }

  /**
   * Makes a container: after a crash at any point it is there as a whole, or not.
   * @param name undefined: one is made up
   * @param holds what it needs of the store, which the caller holds
   * @throws TsbuildError `TSB_USAGE` when the name is wrong or taken
   */
  create(record: ContainerRecord, name: string | undefined, holds: LeaseNames, idShift: number): Container {
    const { id } = record;
    const directory = join(this.root, id);
    const making = join(this.root, `new-${id}`);
    try {
      fs.mkdirSync(this.names, { recursive: true, mode: 0o700 });
      fs.mkdirSync(making, { mode: 0o711 });
      // Root's containers walk to it with ids of their own.
      fs.chmodSync(making, idShift > 0 ? 0o711 : 0o700);
      for (const part of ['fs', 'work']) {
        makeDirectory(join(making, part), 0o755);
        if (idShift > 0) fs.chownSync(join(making, part), idShift, idShift);
      }
      fs.mkdirSync(join(making, 'formats'), { mode: 0o700 });
      fs.writeFileSync(join(making, 'config.json'), `${JSON.stringify(record)}\n`, { mode: 0o600 });
      this.#store.containers.prepare(making, holds);
      const given = this.#takeName(name === undefined ? undefined : checkName(name), id);
      fs.writeFileSync(join(making, 'name'), `${given}\n`, { mode: 0o600 });
      fs.renameSync(making, directory);
      this.#store.containers.enter(id);
      const made = { id, name: given, directory, record };
      writeEvent(this.#store, made, 'create');
      return made;
    } catch (error) {
      fs.rmSync(making, { recursive: true, force: true });
      throw fromErrno(error, 'Cannot make the container', 'TSB_STORE');
    }
  }

  /** @throws TsbuildError `TSB_USAGE` when the name is wrong or taken */
  rename(container: Container, name: string): void {
    if (checkName(name) === container.name)
      throw new TsbuildError('TSB_USAGE', `Cannot rename ${container.name}: that is its name`);
    this.#takeName(name, container.id);
    const temporary = join(container.directory, 'name.tmp');
    fs.writeFileSync(temporary, `${name}\n`, { mode: 0o600 });
    fs.renameSync(temporary, join(container.directory, 'name'));
    this.#dropName(container.name, container.id);
    writeEvent(this.#store, { ...container, name }, 'rename', { oldName: container.name });
  }

  /** Makes a container another one from its next start on. The caller has its lock. @throws TsbuildError `TSB_STORE` */
  rewrite({ directory, name }: Container, record: ContainerRecord): void {
    const temporary = join(directory, 'config.json.tmp');
    try {
      fs.writeFileSync(temporary, `${JSON.stringify(record)}\n`, { mode: 0o600 });
      fs.renameSync(temporary, join(directory, 'config.json'));
    } catch (error) {
      throw fromErrno(error, `Cannot update container ${name}`, 'TSB_STORE');
    }
  }

  /** For what must not happen to a container twice at a time. */
  lock(container: Container, signal?: AbortSignal): Promise<Lock> {
    return this.#store.lock(`container-${container.id}`, signal === undefined ? {} : { signal });
  }

  /** What is true of a container now: what its supervisor wrote, unless that was killed, which is put right. */
  async state(container: Container): Promise<ContainerState> {
    const state = readState(container.directory);
    if (!isLive(state) || (await isSupervised(container))) return state;
    await using _lock = await this.lock(container);
    // It may have been put right, or started again, meanwhile.
    const again = readState(container.directory);
    if (!isLive(again) || (await isSupervised(container))) return again;
    if (!fs.existsSync(container.directory)) return again;
    writeEvent(this.#store, container, 'die', { exitCode: '137' });
    return writeLost(container.directory, again, new Date(this.#store.now()));
  }

  /** Removes a container that has no supervisor. The caller has its lock. */
  async remove(container: Container, removeTrees: RemoveTrees): Promise<void> {
    const aside = this.#setAside(container.id, container.name);
    this.#dropName(container.name, container.id);
    this.#store.containers.release(container.id);
    writeEvent(this.#store, container, 'destroy');
    await removeTrees([aside]);
  }

  /** Removes what nobody can tell any more what it is: see `lookUpDamaged`. */
  async removeDamaged(id: string, removeTrees: RemoveTrees): Promise<void> {
    await using _lock = await this.#store.lock(`container-${id}`);
    const aside = this.#setAside(id, id.slice(0, 12));
    for (const name of fs.readdirSync(this.names)) this.#dropName(name, id);
    this.#store.containers.release(id);
    await removeTrees([aside]);
  }

  /** Puts a container's directory where nobody looks for one. @returns where it is then */
  #setAside(id: string, called: string): string {
    const aside = join(this.#store.layout.garbage, id);
    try {
      fs.mkdirSync(this.#store.layout.garbage, { recursive: true, mode: 0o700 });
      fs.renameSync(join(this.root, id), aside);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw fromErrno(error, `Cannot remove container ${called}`, 'TSB_STORE');
    }
    return aside;
  }

  /**
   * Takes a name away from the container that has it. A name may be another's by now; between looking and taking away nobody else takes
   * one away, for all do so in a transaction of the index, and nobody can take one that is there.
   */
  #dropName(name: string, holder: string): void {
    this.#store.batch(() => {
      if (this.linkOf(name) === holder) fs.rmSync(join(this.names, name), { force: true });
    });
  }

  #takeName(wanted: string | undefined, id: string): string {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const made = generateName();
      const name = wanted ?? (attempt < TRIES / 2 ? made : `${made}${attempt}`);
      try {
        fs.symlinkSync(id, join(this.names, name));
        return name;
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw error;
      }
      if (wanted !== undefined) this.#freeName(wanted);
    }
    throw new TsbuildError('TSB_STORE', 'Cannot find a name for the container that is free');
  }

  /** @throws TsbuildError `TSB_USAGE` when the name belongs to a container */
  #freeName(name: string): void {
    const holder = this.linkOf(name);
    if (holder === undefined) return;
    // In this order: it may be ready in between, and has its own directory from then on.
    if (this.#isBeingMade(holder) || fs.existsSync(join(this.root, holder)))
      throw new TsbuildError(
        'TSB_USAGE',
        `Cannot use the name ${JSON.stringify(name)}: container ${holder.slice(0, 12)} has it`,
        { hint: `remove that container ("tsbuild rm ${name}"), or take another name` },
      );
    this.#dropName(name, holder);
  }

  /** What a killed command has left is no container, and will be none. */
  #isBeingMade(id: string): boolean {
    const making = join(this.root, `new-${id}`);
    const stat = fs.lstatSync(making, { throwIfNoEntry: false });
    if (stat === undefined) return false;
    if (this.#store.now() - stat.mtimeMs < MAKING_MS) return true;
    fs.rmSync(making, { recursive: true, force: true });
    return false;
  }
}
