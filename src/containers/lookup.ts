import fs from 'node:fs';
import { join } from 'node:path';
import { errnoOf, fromErrno, suggest, TsbuildError } from '../util/index.ts';
import { type Damaged, isObject, readRecord } from './record-file.ts';
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

  /** All of them, the newest first. What is damaged is left out: it must not keep anybody from the others. */
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
      .flatMap((id) => {
        const found = this.#look(id);
        return found === undefined || found === 'damaged' ? [] : [found];
      })
      .sort((a, b) => (a.record.created < b.record.created ? 1 : -1));
  }

  /**
   * The container of that name or id, or whose id begins so.
   * @throws TsbuildError `TSB_NOT_FOUND`, `TSB_USAGE` when several ids begin so, `TSB_STORE` when it is damaged
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

  /** The same, undefined where there is none. @throws TsbuildError `TSB_USAGE`, `TSB_STORE` */
  lookUp(name: string): Container | undefined {
    const id = this.#idMeant(name);
    if (id === undefined) return undefined;
    const found = this.#look(id);
    if (found !== 'damaged') return found;
    throw new TsbuildError(
      'TSB_STORE',
      `Cannot use container ${id.slice(0, 12)}: what it is (config.json) is damaged, or of another version of tsbuild`,
      { hint: `"tsbuild rm --force ${name}" removes it, with all that it has written` },
    );
  }

  /** Id of the container of that name or id, where nobody can tell any more what it is. */
  lookUpDamaged(name: string): string | undefined {
    const id = this.#idMeant(name);
    return id !== undefined && this.#look(id) === 'damaged' ? id : undefined;
  }

  /** @throws TsbuildError `TSB_USAGE` */
  #idMeant(name: string): string | undefined {
    const byName = /^[\w.-]+$/.test(name) ? this.#idOf(name) : undefined;
    if (byName !== undefined) return byName;
    if (!/^[0-9a-f]{1,64}$/.test(name)) return undefined;
    if (isId(name)) return name;
    const ids = this.#ids().filter((id) => id.startsWith(name));
    if (ids.length > 1)
      throw new TsbuildError('TSB_USAGE', `Cannot tell which container is meant: ${ids.length} ids begin with ${name}`);
    return ids[0];
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

  #look(id: string): Container | Damaged | undefined {
    const directory = join(this.root, id);
    try {
      const record = readRecord<ContainerRecord>(join(directory, 'config.json'), isWhole);
      if (record === undefined || record === 'damaged') return record;
      const name = fs.readFileSync(join(directory, 'name'), 'utf8').trim();
      return { id, name: name || id.slice(0, 12), directory, record };
    } catch (error) {
      // It is being removed.
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw fromErrno(error, `Cannot read container ${id.slice(0, 12)}`, 'TSB_STORE');
    }
  }
}

function isWhole({ format, created, image, step, labels }: Partial<ContainerRecord>): boolean {
  return format === 1 && typeof created === 'string' && [image, step, labels].every(isObject);
}

function isId(name: string): boolean {
  return /^[0-9a-f]{64}$/.test(name);
}
