import { TsbuildError } from '../util/index.ts';

/**
 * Understands a hardware address (EUI-48) as Go's `net.ParseMAC` does, and so docker: `02:42:ac:11:00:02`, with `-` for `:`, or `0242.ac11.0002`.
 * @param flag what was typed to say it
 * @returns lower case, with `:`
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseMac(flag: string, text: string): string {
  const digits = text.trim().toLowerCase();
  const bad = (why: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use ${flag} ${JSON.stringify(text)}: ${why}`, {
      hint: 'for example 02:42:0a:59:00:07: six bytes, and the first of them even',
    });
  if (!/^[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}$|^[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}$/.test(digits))
    throw bad('it is not a valid mac address');
  const bytes = digits.replaceAll(/[^0-9a-f]/g, '').match(/../g) ?? [];
  // The kernel says of these that the address is not available.
  if (Number.parseInt(bytes[0] ?? '', 16) % 2 === 1) throw bad('it is the address of a group');
  if (bytes.every((byte) => byte === '00')) throw bad('it is nobody’s');
  return bytes.join(':');
}
