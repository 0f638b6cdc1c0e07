import { createHash } from 'node:crypto';
import { InvalidSignatureError } from '../util/index.ts';

/** A commit or a tag as git keeps it, by its own hash. */
export interface GitObject {
  readonly kind: 'commit' | 'tag';
  readonly sha: string;
  readonly raw: Buffer;
}

/** Taken apart: what was signed, and the signature. */
export interface SignedObject {
  readonly data: Buffer;
  /** In its armour; absent for one that nobody signed. */
  readonly signature?: string;
}

/** Larger ones are nobody's message. Bytes. */
const MAX_BYTES = 4 * 1024 * 1024;
const SIGNATURE_HEADER = /^gpgsig(?:-sha256)? /;
const SIGNATURE_LINE = /^-----BEGIN (?:PGP|SSH) SIGNATURE-----$/;

/**
 * Takes a commit or tag apart, as git and BuildKit do: of a commit the headers `gpgsig` are the signature and the rest was signed, of a tag
 * what stands before the signature at its end.
 * @throws InvalidSignatureError for what is not the object that its hash says, or is none
 */
export function signedObject({ kind, sha, raw }: GitObject): SignedObject {
  if (raw.length > MAX_BYTES) throw new InvalidSignatureError(`it has ${raw.length} bytes, which no ${kind} has`);
  const hash = createHash(sha.length === 64 ? 'sha256' : 'sha1')
    .update(`${kind} ${raw.length}\0`)
    .update(raw);
  if (hash.digest('hex') !== sha) throw new InvalidSignatureError(`its content is not that of ${kind} ${sha}`);
  // Every byte is one character, so that nothing is lost.
  const lines = raw.toString('latin1').split('\n');
  const end = lines.indexOf('');
  const headers = end < 0 ? lines : lines.slice(0, end);
  const wanted = kind === 'commit' ? ['tree', 'author', 'committer'] : ['object', 'type', 'tag', 'tagger'];
  const missing = wanted.find((name) => !headers.some((line) => line.startsWith(`${name} `)));
  if (missing !== undefined) throw new InvalidSignatureError(`it is malformed: it has no "${missing}"`);
  return kind === 'commit' ? signedCommit(headers, lines) : signedTag(lines, end);
}

function signedCommit(headers: readonly string[], lines: readonly string[]): SignedObject {
  const signature: string[] = [];
  const rest: string[] = [];
  let within = false;
  for (const line of headers) {
    const start = SIGNATURE_HEADER.exec(line)?.[0];
    within = start !== undefined || (within && line.startsWith(' '));
    if (within) signature.push(line.slice(start?.length ?? 1));
    else rest.push(line);
  }
  return made([...rest, ...lines.slice(headers.length)].join('\n'), signature);
}

function signedTag(lines: readonly string[], end: number): SignedObject {
  const start = end < 0 ? -1 : lines.findIndex((line, index) => index > end && SIGNATURE_LINE.test(line));
  return start < 0
    ? { data: bytesOf(lines.join('\n')) }
    : made(`${lines.slice(0, start).join('\n')}\n`, lines.slice(start));
}

function made(data: string, signature: readonly string[]): SignedObject {
  return { data: bytesOf(data), ...(signature.length === 0 ? {} : { signature: signature.join('\n') }) };
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
