import { MalformedError } from './errors.ts';

/** What was in an armour. */
export interface Block {
  /** E.g. `PGP SIGNATURE`. */
  readonly type: string;
  readonly data: Buffer;
}

/** Blocks of one text; more are nobody's. */
const MAX_BLOCKS = 64;

/**
 * The blocks of a text in ASCII armour (RFC 9580, section 6.2). What stands between them is passed over, and so are headers. The check sum
 * is not looked at, as the RFC wants it: what counts is signed.
 * @throws MalformedError
 */
export function unarmor(text: string): readonly Block[] {
  const lines = text.split('\n').map((line) => line.trimEnd());
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; at++) {
    const type = /^-----BEGIN (PGP [A-Z0-9 ,/]+)-----$/.exec(lines[at] ?? '')?.[1];
    if (type === undefined) continue;
    const end = lines.indexOf(`-----END ${type}-----`, at);
    if (end < 0) throw new MalformedError('its armour does not end');
    blocks.push({ type, data: decode(lines.slice(at + 1, end)) });
    if (blocks.length > MAX_BLOCKS) throw new MalformedError(`it has more than ${MAX_BLOCKS} blocks`);
    at = end;
  }
  return blocks;
}

function decode(lines: readonly string[]): Buffer {
  const start = lines.findIndex((line) => !/^[A-Za-z][A-Za-z0-9-]*: |^[A-Za-z][A-Za-z0-9-]*:$/.test(line));
  const body = lines.slice(start < 0 ? lines.length : start).filter((line) => line !== '');
  const checksum = body.at(-1)?.startsWith('=') === true && body.length > 1;
  const base64 = (checksum ? body.slice(0, -1) : body).join('');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64) || base64.length % 4 !== 0)
    throw new MalformedError('its armour is damaged');
  return Buffer.from(base64, 'base64');
}
