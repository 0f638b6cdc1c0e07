/** Attributes by which a git source demands that its commit is signed, in BuildKit's names. */
export const GIT_SIGNATURE = {
  publicKey: 'git.sig.pubkey',
  rejectExpired: 'git.sig.rejectexpired',
  requireSignedTag: 'git.sig.requiresignedtag',
  ignoreSignedTag: 'git.sig.ignoresignedtag',
} as const;

/** Those by which a source demands that a file from the web is signed. */
export const HTTP_SIGNATURE = { publicKey: 'http.sig.pubkey', signature: 'http.sig.signature' } as const;

const KNOWN: ReadonlySet<string> = new Set([...Object.values(GIT_SIGNATURE), ...Object.values(HTTP_SIGNATURE)]);

/** Whether an attribute demands something of signatures that is not known. Passed over, it would give what nobody has verified. */
export function isUnknownDemand(attribute: string): boolean {
  return /^(?:git|http)\.sig\./.test(attribute) && !KNOWN.has(attribute);
}
