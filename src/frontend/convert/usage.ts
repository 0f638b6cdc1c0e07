import type { SourceRange } from '../../util/index.ts';

/** What a step may do beyond the ordinary; the user has to allow it. Devices are another matter: the machine has a say in them. */
export type Entitlement = 'network.host' | 'security.insecure';

/** A secret or agent that reachable steps want. */
export interface UsedCredential {
  readonly id: string;
  readonly required: boolean;
  readonly ranges: readonly SourceRange[];
}

/** What the steps of a build take from outside, so that it can be checked before the first of them runs. */
export class Usage {
  readonly secrets: Map<string, UsedCredential> = new Map();
  readonly ssh: Map<string, UsedCredential> = new Map();
  /** Ids of cache mounts, with their namespace. */
  readonly caches: Set<string> = new Set();
  readonly entitlements: Map<Entitlement, readonly SourceRange[]> = new Map();

  /** Notes a secret that a step mounts. */
  addSecret(credential: UsedCredential): void {
    merge(this.secrets, credential);
  }

  /** Notes an agent that a step mounts. */
  addSsh(credential: UsedCredential): void {
    merge(this.ssh, credential);
  }

  /** Notes what the user has to allow. */
  require(entitlement: Entitlement, ranges: readonly SourceRange[]): void {
    if (!this.entitlements.has(entitlement)) this.entitlements.set(entitlement, ranges);
  }
}

/** Required by one step is required. */
function merge(all: Map<string, UsedCredential>, one: UsedCredential): void {
  const known = all.get(one.id);
  all.set(one.id, known === undefined || (one.required && !known.required) ? one : known);
}
