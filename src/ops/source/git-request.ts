import type { SourceOp } from '../../llb/index.ts';
import { type GitAccess, type GitRequest, parseGitUrl } from '../../source/index.ts';
import { type Digest, isDigest, redactUrls, sanitizeLine, TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import { bringBlob, digestOf } from './blob-source.ts';
import type { SourcePieces } from './source-pieces.ts';

/**
 * What a source op wants of a repository. An agent that git may use listens until `held` is disposed.
 * @throws TsbuildError `TSB_LLB` for attributes that cannot be used
 */
export async function gitRequest(
  pieces: SourcePieces,
  task: Task,
  vertex: Digest,
  source: SourceOp,
  held: AsyncDisposableStack,
): Promise<GitRequest> {
  const { attrs, identifier } = source;
  const [, place = '', fragment = ''] = /^git:\/\/([^#]*)(?:#(.*))?$/s.exec(identifier) ?? [];
  const full = attrs.get('git.fullurl') || place;
  const url = /^[a-z][a-z0-9+.-]*:\/\/|^[^@:/]+@[^:/]+:/i.test(full) ? full : `https://${full}`;
  const colon = fragment.indexOf(':');
  const ref = colon < 0 ? fragment : fragment.slice(0, colon);
  const subdir = colon < 0 ? '' : fragment.slice(colon + 1);
  const checksum = attrs.get('git.checksum') ?? '';
  const bundle = bundleSource(attrs, checksum);
  const checkoutBundle = attrs.get('git.checkoutbundle') === 'true';
  if (checkoutBundle && attrs.get('git.keepgitdir') === 'true')
    throw new TsbuildError('TSB_LLB', 'git.checkoutbundle is incompatible with git.keepgitdir');
  if (checkoutBundle && subdir !== '')
    throw new TsbuildError('TSB_LLB', 'git.checkoutbundle is incompatible with git.subdir');
  return {
    url,
    ref,
    subdir,
    checksum,
    fetchByCommit: attrs.get('git.fetchbycommit') === 'true',
    keepGitDir: attrs.get('git.keepgitdir') === 'true',
    submodules: attrs.get('git.skipsubmodules') !== 'true',
    access: await accessOf(pieces, attrs, url, held),
    ...(bundle ? { bundle: { digest: digestOf(bundle), bring: () => bringBlob(pieces, task, vertex, bundle) } } : {}),
    ...(checkoutBundle ? { checkoutBundle } : {}),
  };
}

/**
 * The blob that a bundle comes as, in a registry or in a layout that the build was given.
 * @throws TsbuildError `TSB_LLB`, in the cases of BuildKit
 */
function bundleSource(attrs: ReadonlyMap<string, string>, checksum: string): SourceOp | undefined {
  const locator = attrs.get('git.bundle') ?? '';
  if (locator === '') return undefined;
  const shown = JSON.stringify(sanitizeLine(redactUrls(locator), 300));
  const [, scheme = '', place = '', digest = ''] = /^([^:/]*):\/\/(.*?)(?:@([^@/]*))?$/s.exec(locator) ?? [];
  if (!BLOB_SCHEMES.includes(scheme))
    throw new TsbuildError('TSB_LLB', `Cannot use git.bundle ${shown}: it begins with none of ${BLOB_SCHEMES.map((name) => `${name}://`).join(' and ')}`); // oxfmt-ignore
  if (place === '' || !isDigest(digest))
    throw new TsbuildError('TSB_LLB', `Cannot use git.bundle ${shown}: it does not name a blob by its digest`, {
      hint: `write ${scheme}://NAME@sha256:…`,
    });
  if (checksum === '')
    throw new TsbuildError('TSB_LLB', 'git.bundle requires git.checksum to be set', {
      hint: 'name the commit that the bundle must hold',
    });
  const layout = attrs.get('oci.store') || place;
  return {
    kind: 'source',
    identifier: locator,
    attrs: new Map(scheme === 'oci-layout+blob' ? [['oci.store', layout]] : []),
  };
}

const BLOB_SCHEMES: readonly string[] = ['docker-image+blob', 'oci-layout+blob'];

async function accessOf(
  pieces: SourcePieces,
  attrs: ReadonlyMap<string, string>,
  url: string,
  held: AsyncDisposableStack,
): Promise<GitAccess> {
  const { host, ssh } = parseGitUrl(url);
  if (ssh) {
    const socket = held.use(await pieces.credentials.ssh.serve(attrs.get('git.mountsshsock') || 'default'));
    const knownHosts = attrs.get('git.knownsshhosts');
    return { ...(socket ? { sshSocket: socket.address } : {}), ...(knownHosts === undefined ? {} : { knownHosts }) };
  }
  const header = attrs.get('git.authheadersecret') ?? '';
  const token = attrs.get('git.authtokensecret') ?? '';
  const candidates: readonly (readonly [string, (value: string) => string])[] = [
    ...(header === '' ? [] : [[`${header}.${host}`, plain] as const]),
    ...(token === '' ? [] : [[`${token}.${host}`, tokenHeader] as const]),
    ...(header === '' ? [] : [[header, plain] as const]),
    ...(token === '' ? [] : [[token, tokenHeader] as const]),
  ];
  for (const [name, form] of candidates) {
    const data = pieces.credentials.secrets.get(name);
    if (data) return { authorization: form(Buffer.from(data).toString('utf8').trim()) };
  }
  return {};
}

function plain(value: string): string {
  return value;
}

/** A token as a password, which all forges take. */
function tokenHeader(token: string): string {
  return `basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`;
}
