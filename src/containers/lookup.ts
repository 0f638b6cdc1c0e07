import fs from 'node:fs';
import { join } from 'node:path';
import { errnoOf, fromErrno, suggest, TsbuildError } from '../util/index.ts';
import type { Container, ContainerRecord } from './types.ts';

/** In `containers/`: a link for each name, to the id. Making one is how a name is taken. */
const BY_NAME = 'by-name';

/** Finds containers by what is in their directories. That takes no index, so that `exec` need not open one. */
export class ContainerLookup {
  /** The directory `containers` of a store. */
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  /** Where names are: links whose target is the id. */
  get names(): string {
    return join(this.root, BY_NAME);
  }

  /** All of them, the newest first. */
  list(): readonly Container[] {
    let names: readonly string[];
    try {
      names = fs.readdirSync(this.root);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw fromErrno(error, 'Cannot list containers', 'TSB_STORE');
    }
    return names
      .filter(isId)
      .flatMap((id) => this.#read(id) ?? [])
      .sort((a, b) => (a.record.created < b.record.created ? 1 : -1));
  }

  /**
   * The container of that name or id, or whose id begins so.
   * @throws TsbuildError `TSB_NOT_FOUND`, and `TSB_USAGE` when several ids begin so
   */
  find(name: string): Container {
    const found = this.lookUp(name);
    if (found !== undefined) return found;
    const near = suggest(
      name,
      this.list().map((container) => container.name),
    );
    throw new TsbuildError('TSB_NOT_FOUND', `No such container: ${name}`, {
      hint: near === undefined ? '"tsbuild ps -a" lists them' : `did you mean ${JSON.stringify(near)}?`,
    });
  }

  /** The same, undefined where there is none. @throws TsbuildError `TSB_USAGE` */
  lookUp(name: string): Container | undefined {
    const byName = /^[\w.-]+$/.test(name) ? this.#idOf(name) : undefined;
    if (byName !== undefined) return this.#read(byName);
    if (!/^[0-9a-f]{1,64}$/.test(name)) return undefined;
    if (isId(name)) return this.#read(name);
    const ids = this.#ids().filter((id) => id.startsWith(name));
    if (ids.length > 1)
      throw new TsbuildError('TSB_USAGE', `Cannot tell which container is meant: ${ids.length} ids begin with ${name}`);
    return ids[0] === undefined ? undefined : this.#read(ids[0]);
  }

  #ids(): readonly string[] {
    return fs.existsSync(this.root) ? fs.readdirSync(this.root).filter(isId) : [];
  }

  /** The id that a name was given to, whether there is such a container or not. */
  linkOf(name: string): string | undefined {
    try {
      return fs.readlinkSync(join(this.names, name));
    } catch {
      return undefined;
    }
  }

  /** The id that a name stands for; one whose container is gone stands for nothing. */
  #idOf(name: string): string | undefined {
    const id = this.linkOf(name);
    return id !== undefined && isId(id) && fs.existsSync(join(this.root, id)) ? id : undefined;
  }

  #read(id: string): Container | undefined {
    const directory = join(this.root, id);
    try {
      const record = JSON.parse(fs.readFileSync(join(directory, 'config.json'), 'utf8')) as ContainerRecord;
      const name = fs.readFileSync(join(directory, 'name'), 'utf8').trim();
      return { id, name, directory, record };
    } catch (error) {
      // It is being removed.
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw fromErrno(error, `Cannot read container ${id.slice(0, 12)}`, 'TSB_STORE');
    }
  }
}

function isId(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}
