import { resolve } from 'node:path';
import { parseReference, type Reference } from '../image/index.ts';
import { type Digest, parseDigest, sanitizeLine, TsbuildError } from '../util/index.ts';

/** Where an image is, or is to go. */
export type Place =
  | { readonly kind: 'registry'; readonly reference: Reference }
  | { readonly kind: 'layout'; readonly path: string; readonly name?: string; readonly digest?: Digest }
  | {
      readonly kind: 'archive';
      readonly form: 'oci' | 'docker';
      readonly path: string;
      readonly name?: string;
      readonly digest?: Digest;
    }
  | { readonly kind: 'store'; readonly name: string };

/** Transports of containers/image that are not here, with the way around. */
const ABSENT: Readonly<Record<string, string>> = {
  'containers-storage':
    'go by an archive: podman save --format oci-archive -o FILE NAME, then oci-archive:FILE; for the way back: podman load -i FILE',
  dir: 'use oci:DIR, an OCI layout',
  'docker-daemon':
    'go by an archive: docker save -o FILE NAME, then docker-archive:FILE; for the way back: docker load -i FILE',
  ostree: 'use oci:DIR, an OCI layout',
  sif: 'use oci-archive:FILE',
  tarball: 'import it: tsbuild import FILE -t NAME, then store:NAME',
};

/** What skopeo takes for the name of an image in a layout; a tag as a rule, or a whole reference. */
const NAME = /^[a-zA-Z0-9][\w.+:/@-]{0,255}$/;

/**
 * Parses the place of an image as skopeo writes it: `docker://NAME`, `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`;
 * `store:NAME` is the local image store. Without any of these it is a name, of the store or a registry.
 * @param isStored whether a bare name is one of the local image store; that of a destination never is
 * @throws TsbuildError `TSB_USAGE`, `TSB_DIGEST`
 */
export function parsePlace(text: string, cwd: string, isStored: (name: string) => boolean): Place {
  const fail = (why: string, hint?: string): TsbuildError =>
    new TsbuildError(
      'TSB_USAGE',
      `Cannot use ${JSON.stringify(sanitizeLine(text, 300))}: ${why}`,
      hint === undefined ? {} : { hint },
    );
  const colon = text.indexOf(':');
  const transport = colon < 0 ? '' : text.slice(0, colon);
  const rest = text.slice(colon + 1);
  switch (transport) {
    case 'docker':
      // An image called docker has tags as well.
      if (!rest.startsWith('//')) break;
      return { kind: 'registry', reference: parseReference(rest.slice(2)) };
    case 'oci':
    case 'oci-layout': {
      // The form with slashes is that of FROM and of --build-context.
      const { path, ...named } = splitPath(transport === 'oci-layout' ? rest.replace(/^\/\/(?=.)/, '') : rest, fail);
      return { kind: 'layout', path: resolve(cwd, path), ...named };
    }
    case 'oci-archive': {
      const { path, ...named } = splitPath(rest, fail);
      return { kind: 'archive', form: 'oci', path: archivePath(cwd, path), ...named };
    }
    case 'docker-archive': {
      const { path, ...named } = splitPath(rest, fail);
      if (named.name !== undefined) parseReference(named.name);
      return { kind: 'archive', form: 'docker', path: archivePath(cwd, path), ...named };
    }
    case 'store':
      // A tag, of an image that is called store.
      if (rest === '' || (/^\w[\w.-]*$/.test(rest) && isStored(text))) break;
      return { kind: 'store', name: rest };
    default:
  }
  if (/^\.{0,2}\//.test(text))
    throw fail('a path does not say what is there', 'write oci:DIR, oci-archive:FILE or docker-archive:FILE');
  if (Object.hasOwn(ABSENT, transport) && !isStored(text)) {
    // host:5000/name is a registry, and so is one whose host is called dir.
    if (!/^\d+\//.test(rest)) throw fail(`the transport ${transport} is not supported`, ABSENT[transport]);
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//.test(text))
    throw fail(
      `unknown transport ${JSON.stringify(transport)}`,
      'there are docker://NAME, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME] and store:NAME',
    );
  return isStored(text) ? { kind: 'store', name: text } : { kind: 'registry', reference: parseReference(text) };
}

/** As elsewhere, `-` is standard output. */
function archivePath(cwd: string, path: string): string {
  return path === '-' ? path : resolve(cwd, path);
}

/** `PATH[:NAME][@DIGEST]`. The first colon ends the path, as for skopeo. */
function splitPath(
  text: string,
  fail: (why: string) => TsbuildError,
): { readonly path: string; readonly name?: string; readonly digest?: Digest } {
  const at = /@(sha256:[^/@]*)$/.exec(text);
  const named = at === null ? text : text.slice(0, at.index);
  const colon = named.indexOf(':');
  const path = colon < 0 ? named : named.slice(0, colon);
  const name = colon < 0 ? undefined : named.slice(colon + 1);
  if (path === '' || path.includes('\0')) throw fail('the path is missing');
  if (name !== undefined && !NAME.test(name))
    throw fail(`${JSON.stringify(sanitizeLine(name, 100))} is no name of an image`);
  return {
    path,
    ...(name === undefined ? {} : { name }),
    ...(at?.[1] === undefined ? {} : { digest: parseDigest(at[1]) }),
  };
}
