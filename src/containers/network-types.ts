/** The network of containers that name none but want one: docker calls it so. It is made when it is first used. */
export const DEFAULT_NETWORK = 'bridge';

/** `network.json`: what a network is. Written once, when it is made. */
export interface NetworkRecord {
  readonly format: 1;
  /** 64 hex digits. */
  readonly id: string;
  /** RFC 3339. */
  readonly created: string;
  /** Nothing leads out of it, and no name of the world is looked up in it. */
  readonly internal: boolean;
  /** One of IPv4, and one of IPv6 where that was asked for. */
  readonly subnets: readonly NetworkSubnet[];
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  /** `--scope`: what it goes with. */
  readonly scope?: string;
}

/** Addresses of one family that a network gives. */
export interface NetworkSubnet {
  /** `10.89.0.0/24` */
  readonly subnet: string;
  readonly gateway: string;
  /** The part of it from which containers get addresses; absent for all of it. */
  readonly range?: string;
}

/** A network that containers share. */
export interface Network {
  readonly name: string;
  /** `networks/<name>` in the store. */
  readonly directory: string;
  readonly record: NetworkRecord;
}

/** That a container is in a network, and how. */
export interface Attachment {
  /** The network's name. */
  readonly network: string;
  readonly aliases: readonly string[];
  /** An address that it is to have. */
  readonly ip?: string;
  readonly ip6?: string;
  /** A hardware address that its interface is to have: lower case, with `:`. */
  readonly mac?: string;
}

/** Who is in a network now, as its process says. */
export interface NetworkMember {
  readonly id: string;
  readonly name: string;
  readonly ip: string | undefined;
  readonly ip6: string | undefined;
  /** Empty where the network's process is an older program's. */
  readonly mac: string;
  readonly aliases: readonly string[];
}
