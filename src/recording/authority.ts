import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { bitString, element, integer, objectId, octets, sequence, setOf, tagged, time, utf8, yes } from './der.ts';

const ECDSA_SHA256 = objectId('1.2.840.10045.4.3.2');
const COMMON_NAME = objectId('2.5.4.3');
const DAY_MS = 86_400_000;
/** A build that takes longer has other troubles. Clocks that are behind are common in virtual machines. */
const VALID_MS = { before: 2 * DAY_MS, after: 30 * DAY_MS };
/** Hosts whose certificates are kept. */
const MAX_HOSTS = 1000;

/** What TLS shows of itself. */
export interface ServerCertificate {
  /** PEM: the host's certificate and the authority's. */
  readonly cert: string;
  readonly key: string;
}

/**
 * A certificate authority of one build. Its key is never written anywhere, and whom it vouches for only steps of this build believe.
 * The kind of keys is what every TLS library takes: ECDSA on P-256.
 */
export class Authority {
  /** Of the authority itself, PEM. */
  readonly certificate: string;
  readonly #now: () => number;
  readonly #name: Buffer;
  readonly #key: KeyObject;
  readonly #ownId: Buffer;
  /** One key for all hosts: they are all this process. */
  readonly #leaf: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
  readonly #contexts = new Map<string, SecureContext>();

  /** @param now milliseconds since the epoch */
  constructor(now: () => number) {
    this.#now = now;
    const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#key = own.privateKey;
    this.#name = nameOf('tsbuild: recorded network of a build');
    this.#ownId = keyId(own.publicKey);
    this.#leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.certificate = this.#issue(this.#name, own.publicKey, [
      // May sign certificates of hosts, and no further authorities.
      extension('2.5.29.19', sequence(yes, integer(Uint8Array.of(0))), true),
      extension('2.5.29.15', bitString(Buffer.of(0b0000_0100), 2), true),
    ]);
  }

  /** What TLS servers for a host are made with. @param host a name or an address */
  context(host: string): SecureContext {
    const known = this.#contexts.get(host);
    if (known) return known;
    if (this.#contexts.size >= MAX_HOSTS) this.#contexts.clear();
    const context = createSecureContext({ ...this.serverCertificate(host), minVersion: 'TLSv1.2' });
    this.#contexts.set(host, context);
    return context;
  }

  /** The certificate of a host. */
  serverCertificate(host: string): ServerCertificate {
    // Longer ones do not fit there; nobody reads it for a host any more.
    const name = nameOf(host.length > 64 ? 'host' : host);
    const cert = this.#issue(name, this.#leaf.publicKey, [
      extension('2.5.29.19', sequence(), true),
      extension('2.5.29.15', bitString(Buffer.of(0b1000_0000), 7), true),
      extension('2.5.29.37', sequence(objectId('1.3.6.1.5.5.7.3.1'))),
      extension('2.5.29.17', sequence(alternativeName(host))),
      extension('2.5.29.35', sequence(tagged(0, this.#ownId, false))),
    ]);
    const key = this.#leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    return { cert: cert + this.certificate, key };
  }

  /** A certificate (RFC 5280, 4.1), signed. */
  #issue(subject: Buffer, publicKey: KeyObject, extensions: readonly Buffer[]): string {
    const now = this.#now();
    const algorithm = sequence(ECDSA_SHA256);
    const body = sequence(
      tagged(0, integer(Uint8Array.of(2))),
      // Of 16 bytes, as some ask for; the highest bit is none.
      integer(Buffer.concat([Buffer.of(1), randomBytes(15)])),
      algorithm,
      this.#name,
      sequence(time(now - VALID_MS.before), time(now + VALID_MS.after)),
      subject,
      publicKey.export({ type: 'spki', format: 'der' }),
      tagged(3, sequence(...extensions, extension('2.5.29.14', octets(keyId(publicKey))))),
    );
    const der = sequence(body, algorithm, bitString(sign('sha256', body, this.#key)));
    const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
    return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
  }
}

function nameOf(commonName: string): Buffer {
  return sequence(setOf(sequence(COMMON_NAME, utf8(commonName))));
}

/** The hash of the key's bits (RFC 5280, 4.2.1.2). */
function keyId(publicKey: KeyObject): Buffer {
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const point = Buffer.concat([Buffer.of(4), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
  return createHash('sha1').update(point).digest();
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return sequence(objectId(id), ...(critical ? [yes] : []), octets(value));
}

/** The name that a client compares with the host that it wanted. */
function alternativeName(host: string): Buffer {
  const family = isIP(host);
  return family === 0 ? element(0x82, Buffer.from(host, 'latin1')) : element(0x87, addressBytes(host, family));
}

function addressBytes(address: string, family: number): Buffer {
  if (family === 4) return Buffer.from(address.split('.').map(Number));
  // In the one spelling that URL gives, with the zeros filled in.
  const text = new URL(`http://[${address}]/`).hostname.slice(1, -1);
  const [head = '', tail] = text.split('::');
  const groups = (part: string): readonly number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const [before, after] = [groups(head), tail === undefined ? [] : groups(tail)];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return Buffer.from([...before, ...zeros, ...after].flatMap((group) => [group >> 8, group & 255]));
}
