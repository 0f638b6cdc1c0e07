import fs from 'node:fs';
import { join } from 'node:path';
import {
  type Address,
  checkRange,
  checkSubnet,
  defaultGateway,
  formatAddress,
  formatSubnet,
  freeSubnet,
  localSubnet,
  parseSubnet,
  routedSubnets,
  type Subnet,
} from '../network/index.ts';
import type { Store } from '../store/index.ts';
import { errnoOf, fromErrno, randomHex, suggest, TsbuildError } from '../util/index.ts';
import { attachmentsOf } from './attachments.ts';
import { DEFAULT_NETWORK, type Network, type NetworkRecord } from './network-types.ts';
import { type Damaged, isObject, readRecord } from './record-file.ts';
import type { Container } from './types.ts';

/** What stands for no network of this kind. */
const RESERVED: ReadonlySet<string> = new Set(['host', 'none', 'private', 'container', 'default', DEFAULT_NETWORK]);

/** What a network is made with. */
export interface NewNetwork {
  readonly subnets?: readonly {
    readonly subnet: Subnet;
    readonly gateway?: Address;
    /** From which addresses are given. */
    readonly range?: Subnet;
  }[];
  readonly ipv6?: boolean;
  readonly internal?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, string>>;
  readonly scope?: string;
}

/** The networks of a store: `networks/<name>/`, with `network.json`; while containers are in it, `socket` is its process's. */
export class Networks {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  get root(): string {
    return this.#store.layout.networks;
  }

  /** All of them, by name; but for what is damaged. */
  list(): readonly Network[] {
    if (!fs.existsSync(this.root)) return [];
    return fs
      .readdirSync(this.root)
      .filter((name) => !name.startsWith('.'))
      .toSorted()
      .flatMap((name) => {
        const found = this.#look(name);
        return found === undefined || found === 'damaged' ? [] : [found];
      });
  }

  /** Those that can be removed: all but the default one. */
  removable(): readonly Network[] {
    return this.list().filter(({ name }) => name !== DEFAULT_NETWORK);
  }

  /**
   * The network of that name or id, or whose id begins so.
   * @throws TsbuildError `TSB_USAGE` when several ids begin so, `TSB_STORE` when it is damaged
   */
  lookUp(name: string): Network | undefined {
    const found = isNetworkName(name) ? this.#look(name) : undefined;
    if (found === 'damaged')
      throw new TsbuildError('TSB_STORE', `Cannot use network ${name}: what it is (network.json) is damaged`, {
        hint: `"tsbuild network create ${name}" makes it anew`,
      });
    if (found !== undefined || !/^[0-9a-f]{2,64}$/.test(name)) return found;
    const matching = this.list().filter(({ record }) => record.id.startsWith(name));
    if (matching.length > 1)
      throw new TsbuildError(
        'TSB_USAGE',
        `Cannot tell which network is meant: ${matching.length} ids begin with ${name}`,
      );
    return matching[0];
  }

  /** @throws TsbuildError `TSB_NOT_FOUND` */
  find(name: string): Network {
    const found = this.lookUp(name);
    if (found !== undefined) return found;
    const near = suggest(
      name,
      this.list().map((network) => network.name),
    );
    throw new TsbuildError('TSB_NOT_FOUND', `No such network: ${name}`, {
      hint:
        near === undefined
          ? `make it ("tsbuild network create ${isNetworkName(name) ? name : 'NAME'}"); "tsbuild network ls" lists those that are there`
          : `did you mean ${JSON.stringify(near)}?`,
    });
  }

  /** The network that everybody has. */
  async findDefault(): Promise<Network> {
    const there = this.#look(DEFAULT_NETWORK);
    return there === undefined || there === 'damaged' ? this.#make(DEFAULT_NETWORK, {}) : there;
  }

  /**
   * Makes a network: as a whole or not at all.
   * @throws TsbuildError `TSB_USAGE` when its name is wrong or taken, or its subnet cannot be had
   */
  create(name: string, wanted: NewNetwork): Promise<Network> {
    if (!isNetworkName(name))
      throw new TsbuildError('TSB_USAGE', `Cannot name a network ${JSON.stringify(name)}`, {
        hint: 'a name has up to 128 letters, digits and "_", "." or "-", and begins with a letter or digit',
      });
    if (RESERVED.has(name))
      throw new TsbuildError('TSB_USAGE', `Cannot name a network ${JSON.stringify(name)}: that name has a meaning`, {
        hint: 'take another one',
      });
    return this.#make(name, wanted);
  }

  /** Removes one that no container has. @throws TsbuildError `TSB_STORE` when one has */
  async remove(network: Network, containers: readonly Container[]): Promise<void> {
    await using _lock = await this.lock();
    const users = containers.filter((container) => isIn(container, network));
    if (users.length > 0)
      throw new TsbuildError(
        'TSB_STORE',
        `Cannot remove network ${network.name}: ${users.map(({ name }) => `container ${name}`).join(' and ')} ${users.length > 1 ? 'are' : 'is'} in it`,
        {
          hint: `take it out first ("tsbuild network disconnect ${network.name} ${users[0]?.name}"), or remove it ("tsbuild rm -f")`,
        },
      );
    if (network.name === DEFAULT_NETWORK)
      throw new TsbuildError('TSB_USAGE', `Cannot remove network ${network.name}: it is the default one`);
    this.#setAside(network.name);
  }

  #setAside(name: string): void {
    const aside = join(this.root, `.gone-${randomHex(8)}`);
    try {
      fs.renameSync(join(this.root, name), aside);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw fromErrno(error, `Cannot remove network ${name}`, 'TSB_STORE');
    }
    fs.rmSync(aside, { recursive: true, force: true });
  }

  /** For what must not happen to networks twice at a time: making, removing, and starting their processes. */
  lock(): Promise<AsyncDisposable> {
    return this.#store.lock('networks');
  }

  async #make(name: string, wanted: NewNetwork): Promise<Network> {
    await using _lock = await this.lock();
    this.#sweep();
    const there = this.#look(name);
    if (there === 'damaged') this.#setAside(name);
    else if (there !== undefined) {
      if (name === DEFAULT_NETWORK) return there;
      throw new TsbuildError('TSB_USAGE', `Cannot make network ${name}: there is one of that name`, {
        hint: `use it, or remove it: tsbuild network rm ${name}`,
      });
    }
    const record: NetworkRecord = {
      format: 1,
      id: randomHex(32),
      created: new Date(this.#store.now()).toISOString(),
      internal: wanted.internal ?? false,
      subnets: this.#subnetsOf(wanted),
      labels: wanted.labels ?? {},
      options: wanted.options ?? {},
      ...(wanted.scope === undefined ? {} : { scope: wanted.scope }),
    };
    const making = join(this.root, `.new-${randomHex(8)}`);
    try {
      fs.mkdirSync(making, { recursive: true, mode: 0o700 });
      fs.writeFileSync(join(making, 'network.json'), `${JSON.stringify(record)}\n`, { mode: 0o600 });
      fs.renameSync(making, join(this.root, name));
    } catch (error) {
      fs.rmSync(making, { recursive: true, force: true });
      throw fromErrno(error, `Cannot make network ${name}`, 'TSB_STORE');
    }
    return { name, directory: join(this.root, name), record };
  }

  /** What killed commands have left half made or half removed: whoever has the lock is alone. */
  #sweep(): void {
    if (!fs.existsSync(this.root)) return;
    for (const name of fs.readdirSync(this.root))
      if (/^\.(?:new|gone)-/.test(name)) fs.rmSync(join(this.root, name), { recursive: true, force: true });
  }

  #subnetsOf({ subnets = [], ipv6 }: NewNetwork): NetworkRecord['subnets'] {
    const others = new Map(
      this.list().map(({ name, record }) => [name, record.subnets.map(({ subnet }) => parseSubnet(subnet))]),
    );
    const routed = routedSubnets(fs.readFileSync('/proc/net/route', 'utf8'));
    const has = (family: 4 | 6): boolean => subnets.some(({ subnet }) => subnet.family === family);
    for (const family of [4, 6] as const)
      if (subnets.filter(({ subnet }) => subnet.family === family).length > 1)
        throw new TsbuildError('TSB_USAGE', `Cannot give a network two subnets of IPv${family}`);
    const own: NonNullable<NewNetwork['subnets']> = [
      ...(has(4) ? [] : [{ subnet: freeSubnet([...[...others.values()].flat(), ...routed]) }]),
      ...subnets,
      ...(ipv6 && !has(6) ? [{ subnet: localSubnet() }] : []),
    ];
    return own.map(({ subnet, gateway = defaultGateway(subnet), range }) => {
      checkSubnet(subnet, gateway, others);
      if (range !== undefined) checkRange(subnet, gateway, range);
      return {
        subnet: formatSubnet(subnet),
        gateway: formatAddress(gateway),
        ...(range === undefined ? {} : { range: formatSubnet(range) }),
      };
    });
  }

  #look(name: string): Network | Damaged | undefined {
    const directory = join(this.root, name);
    try {
      const record = readRecord<NetworkRecord>(join(directory, 'network.json'), isWhole);
      return record === undefined || record === 'damaged' ? record : { name, directory, record };
    } catch (error) {
      throw fromErrno(error, `Cannot read network ${JSON.stringify(name)}`, 'TSB_STORE');
    }
  }
}

function isWhole({ format, id, subnets, labels }: Partial<NetworkRecord>): boolean {
  return format === 1 && typeof id === 'string' && Array.isArray(subnets) && isObject(labels);
}

/** Whether a container is in a network, or will be when it is started. */
export function isIn(container: Container, { name }: Pick<Network, 'name'>): boolean {
  return attachmentsOf(container).some(({ network }) => network === name);
}

/** Whether something can be the name of a network. */
function isNetworkName(name: string): boolean {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/.test(name);
}
