import { isSignatureOf } from './check.ts';
import { MalformedError, UnsupportedError } from './errors.ts';
import { PACKET, type Packet } from './packets.ts';
import { type PublicKey, readPublicKey } from './public-key.ts';
import { readSignature, type Signature, SIGNATURE } from './signature.ts';

/** A public key with what it says of itself and of its subkeys, as it was read: nothing of it is verified yet. */
export interface Certificate {
  readonly primary: PublicKey;
  readonly subkeys: readonly PublicKey[];
  /** All packets after the primary key. */
  readonly packets: readonly Packet[];
}

/** What a certificate says of one of its keys, and is true. */
export interface SigningKey {
  readonly key: PublicKey;
  readonly certificate: Certificate;
  /** The self-signature that says how long the primary key is good, and what for. */
  readonly primarySelf: Signature;
  /** Of a subkey: what binds it to the primary key, and what binds the primary key to it. */
  readonly binding?: { readonly signature: Signature; readonly back: Signature };
  readonly revocations: {
    readonly primary: readonly Signature[];
    readonly identity: readonly Signature[];
    readonly subkey: readonly Signature[];
  };
}

/** Signatures of one certificate that are verified; more are there to keep us busy. */
const MAX_CHECKS = 500;

/** Splits packets of keys into certificates. Keys that are not understood are left out. @throws MalformedError where there are none */
export function readCertificates(packets: readonly Packet[]): readonly Certificate[] {
  const starts = packets.flatMap(({ tag }, index) => (tag === PACKET.publicKey ? [index] : []));
  let problem: Error = new MalformedError(
    packets.some(({ tag }) => tag === PACKET.secretKey) ? 'it is a private key' : 'it holds no key',
  );
  const certificates = starts.flatMap((start, index) => {
    const [first, ...rest] = packets.slice(start, starts[index + 1]);
    try {
      const primary = readPublicKey(first?.body ?? Buffer.alloc(0));
      return [{ primary, subkeys: rest.flatMap((packet) => subkeyOf(packet) ?? []), packets: rest }];
    } catch (error) {
      problem = notUnderstood(error);
      return [];
    }
  });
  if (certificates.length === 0) throw problem;
  return certificates;
}

/** Signatures and keys that are not understood are as if they were not there. */
function notUnderstood(error: unknown): Error {
  if (error instanceof MalformedError || error instanceof UnsupportedError) return error;
  throw error;
}

function subkeyOf({ tag, body }: Packet): PublicKey | undefined {
  return tag === PACKET.publicSubkey ? orUndefined(() => readPublicKey(body)) : undefined;
}

function orUndefined<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    notUnderstood(error);
    return undefined;
  }
}

/**
 * What a certificate says of the key with an id, after the signatures for it were verified.
 * @param at seconds since the epoch: of what was said twice, what was said last until then holds; else the last of all
 * @throws MalformedError with why the key signs nothing
 */
export function signingKey(certificate: Certificate, id: string, at: number): SigningKey {
  const { primary } = certificate;
  const said = verified(certificate);
  const primarySelf = primary.version === 6 ? latest(said.direct, at) : latest(said.identity?.selves ?? [], at);
  if (!primarySelf) throw new MalformedError('it has no valid signature of itself');
  const common = { certificate, primarySelf };
  if (primary.id === id) {
    if (((primarySelf.facts.flags ?? 0) & SIGN) === 0) throw new MalformedError('it is not made for signing data');
    const revocations = { primary: said.revocations, identity: said.identity?.revocations ?? [], subkey: [] };
    return { ...common, key: primary, revocations };
  }
  const subkey = said.subkeys.find(({ key }) => key.id === id);
  const binding = subkey && latest(subkey.bindings, at);
  if (!subkey || !binding) throw new MalformedError('it is not bound to its primary key');
  if (((binding.facts.flags ?? 0) & SIGN) === 0) throw new MalformedError('it is not made for signing data');
  const back = backSignature(primary, subkey.key, binding);
  const revocations = {
    primary: said.revocations,
    identity: said.identity?.revocations ?? [],
    subkey: subkey.revocations,
  };
  return { ...common, key: subkey.key, binding: { signature: binding, back }, revocations };
}

/** Of key flags. */
const SIGN = 2;

/** A subkey that signs has to say itself whose it is: else it could be anybody's. @throws MalformedError */
function backSignature(primary: PublicKey, subkey: PublicKey, binding: Signature): Signature {
  const { embedded } = binding.facts;
  const back = embedded && orUndefined(() => readSignature(embedded));
  const isBack =
    back?.type === SIGNATURE.primaryKeyBinding &&
    orUndefined(() => isSignatureOf(back, subkey, primary.hashed, subkey.hashed)) === true;
  if (!isBack) throw new MalformedError('it does not say itself that it belongs to its primary key');
  return back;
}

function latest(signatures: readonly Signature[], at: number): Signature | undefined {
  const newestFirst = signatures.toSorted((a, b) => b.facts.created - a.facts.created);
  return newestFirst.find(({ facts }) => facts.created <= at) ?? newestFirst[0];
}

interface Identity {
  readonly selves: Signature[];
  readonly revocations: Signature[];
}

interface Said {
  readonly direct: Signature[];
  readonly revocations: Signature[];
  /** The primary one. */
  readonly identity: Identity | undefined;
  readonly subkeys: readonly {
    readonly key: PublicKey;
    readonly bindings: readonly Signature[];
    readonly revocations: readonly Signature[];
  }[];
}

/** Everything that the primary key has signed of itself. What others say of it does not count. */
function verified({ primary, packets }: Certificate): Said {
  const direct: Signature[] = [];
  const revocations: Signature[] = [];
  const identities: Identity[] = [];
  const subkeys: { readonly key: PublicKey; readonly bindings: Signature[]; readonly revocations: Signature[] }[] = [];
  let checks = 0;
  let about: Packet | undefined;
  let identity: Identity | undefined;
  let subkey: (typeof subkeys)[number] | undefined;
  for (const packet of packets) {
    if (packet.tag !== PACKET.signature) {
      about = packet;
      identity = packet.tag === PACKET.userId ? { selves: [], revocations: [] } : undefined;
      const key = subkeyOf(packet);
      subkey = key && { key, bindings: [], revocations: [] };
      if (identity) identities.push(identity);
      if (subkey) subkeys.push(subkey);
      continue;
    }
    const signature = orUndefined(() => readSignature(packet.body));
    if (!signature || signature.facts.issuer !== primary.id) continue;
    const place = placeOf(signature.type, { direct, revocations, identity, subkey, isFirst: about === undefined });
    if (!place) continue;
    if (++checks > MAX_CHECKS) throw new MalformedError(`it has more than ${MAX_CHECKS} signatures of itself`);
    const data = [primary.hashed, ...(place === direct || place === revocations ? [] : dataOf(about, subkey?.key))];
    if (orUndefined(() => isSignatureOf(signature, primary, ...data)) === true) place.push(signature);
  }
  return { direct, revocations, identity: primaryIdentity(identities), subkeys };
}

/** Where a signature of some type belongs; undefined where it says nothing about what stands before it. */
function placeOf(
  type: number,
  {
    direct,
    revocations,
    identity,
    subkey,
    isFirst,
  }: {
    readonly direct: Signature[];
    readonly revocations: Signature[];
    readonly identity: Identity | undefined;
    readonly subkey: { readonly bindings: Signature[]; readonly revocations: Signature[] } | undefined;
    readonly isFirst: boolean;
  },
): Signature[] | undefined {
  if (type === SIGNATURE.keyRevocation) return revocations;
  if (type === SIGNATURE.directKey) return isFirst ? direct : undefined;
  if (SIGNATURE.certifications.includes(type)) return identity?.selves;
  if (type === SIGNATURE.certificationRevocation) return identity?.revocations;
  if (type === SIGNATURE.subkeyBinding) return subkey?.bindings;
  if (type === SIGNATURE.subkeyRevocation) return subkey?.revocations;
  return undefined;
}

/** What a signature is over besides the primary key (RFC 9580, section 5.2.4). */
function dataOf(about: Packet | undefined, subkey: PublicKey | undefined): readonly Buffer[] {
  if (subkey) return [subkey.hashed];
  const body = about?.body ?? Buffer.alloc(0);
  const head = Buffer.alloc(5);
  head.writeUInt8(0xb4);
  head.writeUInt32BE(body.length, 1);
  return [head, body];
}

/** The identity that speaks for the key: none that is revoked if there is another, one that is called primary, the newest. */
function primaryIdentity(identities: readonly Identity[]): Identity | undefined {
  const rank = ({ selves, revocations }: Identity): readonly number[] => {
    const newest = latest(selves, Number.POSITIVE_INFINITY);
    return [-revocations.length, newest?.facts.isPrimaryId === true ? 1 : 0, newest?.facts.created ?? 0];
  };
  return identities
    .filter(({ selves }) => selves.length > 0)
    .toSorted((a, b) => {
      const [first, second] = [rank(a), rank(b)];
      const at = first.findIndex((value, index) => value !== second[index]);
      return at < 0 ? 0 : (second[at] ?? 0) - (first[at] ?? 0);
    })[0];
}
