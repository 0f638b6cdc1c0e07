import { InvalidSignatureError } from '../util/index.ts';
import type { SigningKey } from './certificate.ts';
import type { Signature } from './signature.ts';

/** Clocks differ. Seconds. */
const SKEW = 5 * 60;
/** Reasons for a revocation that leave alone what was signed before it: there is another key, or the key is not used any more. */
const SOFT_REASONS = new Set([1, 3]);

/**
 * Whether a key was good for a signature: not revoked, not expired, and nothing said of it that has to be understood and is not.
 * @param at when it must be good, seconds since the epoch: when the signature was made, or now
 * @throws InvalidSignatureError
 */
export function checkValidity(signing: SigningKey, signature: Signature, at: number, now: number): void {
  const { key, certificate, primarySelf, binding, revocations } = signing;
  const { primary } = certificate;
  const selves = [primarySelf, ...(binding ? [binding.signature, binding.back] : [])];
  const fail = (why: string): InvalidSignatureError =>
    new InvalidSignatureError(`OpenPGP key ${key.id} signed it, but ${why}`);
  const notation = [signature, ...selves].find(({ facts }) => facts.criticalNotation !== undefined)?.facts
    .criticalNotation;
  if (notation !== undefined)
    throw fail(`it says ${JSON.stringify(notation.slice(0, 100))}, which has to be understood, and is not`);
  if (signature.facts.created > now + SKEW) throw fail(`that in the future, at ${dateOf(signature.facts.created)}`);
  if (revocations.primary.length > 0) throw fail(`the key is revoked${reasonOf(revocations.primary)}`);
  const revoked = [revocations.identity, revocations.subkey].find((list) => list.some((one) => counts(one, at)));
  if (revoked) throw fail(`the key is revoked${reasonOf(revoked)}`);
  for (const [which, { created }, self] of [
    ['primary key', primary, primarySelf],
    ...(binding ? [['subkey', key, binding.signature] as const] : []),
  ] as const) {
    if (created > at) throw fail(`its ${which} was made only at ${dateOf(created)}, and the signature at ${dateOf(signature.facts.created)}`); // oxfmt-ignore
    const end = created + (self.facts.keyLifetime ?? 0);
    if (end !== created && at > end) throw fail(`its ${which} expired at ${dateOf(end)}`);
  }
  for (const one of [signature, ...selves]) {
    const end = one.facts.created + (one.facts.lifetime ?? 0);
    if (end !== one.facts.created && at > end)
      throw fail(`${one === signature ? 'the signature' : 'what the key says of itself'} expired at ${dateOf(end)}`);
  }
}

function counts({ facts }: Signature, at: number): boolean {
  return !SOFT_REASONS.has(facts.revocationReason ?? 0) || facts.created <= at;
}

function reasonOf(revocations: readonly Signature[]): string {
  const text = revocations.find(({ facts }) => facts.revocationText)?.facts.revocationText;
  return text === undefined ? '' : `: ${JSON.stringify(text.slice(0, 200))}`;
}

function dateOf(seconds: number): string {
  return new Date(seconds * 1000).toISOString();
}
