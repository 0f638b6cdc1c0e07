/** What stands in an address in the place of a secret. */
const REDACTED = 'REDACTED';

/** Parameters of a query that are credentials by their names. */
const SECRET =
  /^((access|auth|private|job|id|refresh|security|session|sas)[_-]?)?token$|^(api|access|subscription|private)[_-]?key$|^(client[_-]?)?secret$|^pass(word|wd|phrase)?$|^(sig|signature|jwt|auth|authorization|credentials?)$|^x-(amz|goog)-(signature|credential|security-token)$|^(aws|google)accesskeyid$|^key-pair-id$|^policy$/i;

/** What signatures cover and is new with each: without it, no address that was signed is met twice. */
const SIGNED_TOO = /^(se|st|skt|ske|expires|x-(amz|goog)-(date|expires))$/i;
const SIGNATURE = /^(sig|signature|jwt|x-(amz|goog)-signature)$/i;

/**
 * An address as it is written down: without user information and fragment, with what is a credential in its query replaced. The same
 * address signed anew is the same one so.
 */
export function writtenAddress(address: URL): string {
  const url = new URL(address.href);
  url.username = '';
  url.password = '';
  url.hash = '';
  const names = [...url.searchParams.keys()];
  const isSigned = names.some((name) => SIGNATURE.test(name));
  if (!names.some((name) => SECRET.test(name))) return url.href;
  // By hand: what nobody touches is to stay as it was spelled.
  const parts = url.search
    .slice(1)
    .split('&')
    .map((part) => {
      const name = nameOf(part);
      return SECRET.test(name) || (isSigned && SIGNED_TOO.test(name))
        ? `${part.split('=', 1)[0] ?? ''}=${REDACTED}`
        : part;
    });
  url.search = parts.join('&');
  return url.href;
}

function nameOf(part: string): string {
  return [...new URLSearchParams(part).keys()][0] ?? '';
}

/** Whether an address was written down without something that its server wants to see. */
export function isRedacted(written: string): boolean {
  return new RegExp(`[?&][^=&]*=${REDACTED}(?:&|$)`).test(written);
}
