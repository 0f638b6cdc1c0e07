import { type Digest, isDigest, sanitizeLine, TsbuildError } from '../util/index.ts';

/** A repository on a registry, e.g. host `docker.io`, path `library/debian`. */
export interface Repository {
  /** Host name or address with optional port, e.g. `docker.io`, `localhost:5000`, `[::1]:5000`. */
  readonly host: string;
  readonly path: string;
}

/** An image reference: a repository with a tag, a digest, both or neither. */
export interface Reference extends Repository {
  readonly tag?: string;
  readonly digest?: Digest;
}

const DOMAIN_LABEL = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const HOST = new RegExp(`^(?:${DOMAIN_LABEL}(?:\\.${DOMAIN_LABEL})*|\\[[a-fA-F0-9:]+\\])(?::([0-9]+))?$`);
const PATH_COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const IMAGE_ID = /^[0-9a-f]{64}$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DEFAULT_HOST = 'docker.io';
const OFFICIAL_PREFIX = 'library/';

/**
 * Parses an image reference with the grammar and the defaults of github.com/distribution/reference: a name without a
 * host belongs to docker.io, and there a name without a slash to `library/`. No tag is filled in.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseReference(text: string): Reference {
  const fail = (why?: string): TsbuildError =>
    new TsbuildError(
      'TSB_USAGE',
      `Cannot use image reference ${JSON.stringify(sanitizeLine(text, 300))}: invalid reference format${why === undefined ? '' : `: ${why}`}`,
    );
  if (text === '') throw fail('it is empty');
  if (text.length > 1024) throw fail('it is too long');
  if (IMAGE_ID.test(text)) throw fail('it cannot be 64 hex digits, which is an image id');

  const { name, tag, digest } = splitReference(text);
  if (digest !== undefined && !isDigest(digest)) {
    throw fail(`the digest ${JSON.stringify(sanitizeLine(digest, 100))} is not "sha256:" and 64 lower-case hex digits`);
  }
  if (tag !== undefined && !TAG.test(tag)) {
    throw fail(tag.length > 128 ? 'the tag is longer than 128 characters' : undefined);
  }
  const { host, path } = splitHost(name);
  if (!isHost(host)) throw fail();
  const components = path.split('/');
  if (!components.every((component) => PATH_COMPONENT.test(component))) {
    const lower = path.toLowerCase();
    if (lower !== path && lower.split('/').every((component) => PATH_COMPONENT.test(component))) {
      throw fail(`repository name (${path}) must be lowercase`);
    }
    throw fail();
  }
  if (path.length > 255) throw fail('the repository name is longer than 255 characters');
  return { host, path, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

/** Whether `text` is a registry host: a DNS name or an address (IPv6 in brackets), with an optional port up to 65535. */
export function isHost(text: string): boolean {
  const match = HOST.exec(text);
  return (
    match !== null &&
    text.length <= 300 &&
    (match[1] === undefined || (Number(match[1]) <= 65_535 && match[1].length <= 5))
  );
}

function splitReference(text: string): { name: string; tag?: string; digest?: string } {
  const at = text.indexOf('@');
  const named = at === -1 ? text : text.slice(0, at);
  const digest = at === -1 ? {} : { digest: text.slice(at + 1) };
  const colon = named.lastIndexOf(':');
  if (colon === -1 || colon < named.lastIndexOf('/')) return { name: named, ...digest };
  return { name: named.slice(0, colon), tag: named.slice(colon + 1), ...digest };
}

function splitHost(name: string): { host: string; path: string } {
  const slash = name.indexOf('/');
  const hasHost = isDomain(name);
  let host = hasHost ? name.slice(0, slash) : DEFAULT_HOST;
  let path = hasHost ? name.slice(slash + 1) : name;
  if (host === 'index.docker.io') host = DEFAULT_HOST;
  if (host === DEFAULT_HOST && !path.includes('/')) path = OFFICIAL_PREFIX + path;
  return { host, path };
}

/** Whether a name begins with a host. */
function isDomain(name: string): boolean {
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  // An upper-case first component can only be a host, since paths are lower case.
  return slash !== -1 && (/[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
}

/** Full spelling: `docker.io/library/debian:12@sha256:…`. This is the form in the image store and in LLB identifiers. */
export function formatReference(reference: Reference): string {
  return `${reference.host}/${reference.path}${suffix(reference)}`;
}

/** Short spelling as docker shows it: `debian:12`. */
export function familiarReference(reference: Reference): string {
  return familiarName(reference) + suffix(reference);
}

function familiarName({ host, path }: Repository): string {
  if (host !== DEFAULT_HOST) return `${host}/${path}`;
  const short = path.startsWith(OFFICIAL_PREFIX) ? path.slice(OFFICIAL_PREFIX.length) : path;
  // Keep the prefix where the rest would be read as something else: a host, an image id.
  if (short.includes('/') ? isDomain(path) : IMAGE_ID.test(short)) return `${host}/${path}`;
  return short.includes('/') ? path : short;
}

function suffix({ tag, digest }: Reference): string {
  return (tag === undefined ? '' : `:${tag}`) + (digest === undefined ? '' : `@${digest}`);
}

/** The reference with tag `latest` when it has neither tag nor digest. */
export function withDefaultTag(reference: Reference): Reference {
  return reference.tag === undefined && reference.digest === undefined ? { ...reference, tag: 'latest' } : reference;
}

/** Parses, fills in tag `latest` and spells in full: `debian` becomes `docker.io/library/debian:latest`. */
export function normalizeReference(text: string): string {
  return formatReference(withDefaultTag(parseReference(text)));
}
