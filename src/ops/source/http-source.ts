import { dirname } from 'node:path';
import type { SourceOp } from '../../llb/index.ts';
import type { CacheMap } from '../../solver/index.ts';
import { downloadName, type HttpContent, type HttpResource, newestEntry } from '../../source/index.ts';
import { canonicalDigest, type Digest, isDigest, redactUrls, TsbuildError, version } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import type { FileDemands } from '../../signatures/index.ts';
import { fileDemandsOf, holdToSignature } from './http-demands.ts';
import type { SourcePieces } from './source-pieces.ts';
import type { OpResult } from '../result.ts';
import { type FileAttributes, fileAttributes, layerOfFile } from './one-file.ts';

/** The attributes of an HTTP source. */
interface HttpAttributes extends FileAttributes {
  readonly checksum: Digest | undefined;
  readonly demands: FileDemands | undefined;
  readonly authSecret: string | undefined;
  /** Headers that decide about the content, sorted. */
  readonly headers: readonly (readonly [string, string])[];
}

/** Headers that a graph may set. */
const SETTABLE = new Set(['accept', 'user-agent']);

/**
 * Identity of a download: what it gives and under which name, not where from. With a checksum nobody needs to be asked; else the
 * server says at least whether the file has changed.
 */
export async function httpMap(
  pieces: SourcePieces,
  task: Task,
  vertex: Digest,
  source: SourceOp,
): Promise<CacheMap<OpResult>> {
  const attributes = readAttributes(source.attrs);
  const { digest, content } = await given(pieces, task, vertex, source, attributes);
  // A file of the same content that is newer makes another layer.
  const time = content?.lastModified === undefined ? '' : ` of ${new Date(content.lastModified * 1000).toUTCString()}`;
  pieces.report.notes.source(vertex, {
    what: 'source',
    name: redactUrls(source.identifier),
    value: `${digest}${time}`,
  });
  return {
    digest: canonicalDigest('tsbuild.http.v1', {
      name: nameOf(source, attributes, content),
      mode: attributes.mode,
      owner: [attributes.uid, attributes.gid],
      digest,
      time: content?.lastModified,
      auth: attributes.authSecret,
      headers: attributes.headers,
    }),
    deps: [],
  };
}

/** Downloads the file and makes it the only one of a layer. */
export async function runHttp(pieces: SourcePieces, task: Task, vertex: Digest, source: SourceOp): Promise<OpResult> {
  const attributes = readAttributes(source.attrs);
  const { checksum, mode, uid, gid } = attributes;
  const resource = await resourceOf(pieces, source, attributes);
  // What was keyed is what must come: the server could have another file by now.
  const { digest: expected } = await given(pieces, task, vertex, source, attributes);
  const file = await (await pieces.origins.remote.http()).file(task, vertex, resource, expected);
  const name = nameOf(source, attributes, checksum === undefined ? file : undefined);
  const brought = { dir: dirname(file.path), name, mode, uid, gid, time: file.lastModified ?? 0 };
  return layerOfFile(pieces, task, brought, `http url ${redactUrls(source.identifier)}`);
}

/** When the content of the URL was made, in seconds since the epoch: its Last-Modified date, else the newest file of an archive. */
export async function httpTime(
  pieces: SourcePieces,
  task: Task,
  vertex: Digest,
  source: SourceOp,
): Promise<number | undefined> {
  const attributes = readAttributes(source.attrs);
  const resource = await resourceOf(pieces, source, attributes);
  const content = await contentOf(pieces, task, vertex, source, attributes);
  if (content.lastModified !== undefined) return content.lastModified;
  const { path } = await (await pieces.origins.remote.http()).file(task, vertex, resource, content.digest);
  return newestEntry(path);
}

/** What a download gives now, and the name of the file that it becomes. */
export async function httpFile(
  pieces: SourcePieces,
  task: Task,
  vertex: Digest,
  source: SourceOp,
): Promise<{ readonly content: HttpContent; readonly filename: string }> {
  const attributes = readAttributes(source.attrs);
  const content = await contentOf(pieces, task, vertex, source, attributes);
  return { content, filename: nameOf(source, attributes, content) };
}

/** What a download gives, signed as the op demands. Where the op has a checksum no server is asked for the rest. */
async function given(
  pieces: SourcePieces,
  task: Task,
  vertex: Digest,
  source: SourceOp,
  attributes: HttpAttributes,
): Promise<{ readonly digest: Digest; readonly content?: HttpContent }> {
  const { checksum, demands } = attributes;
  if (checksum === undefined) {
    const content = await contentOf(pieces, task, vertex, source, attributes);
    return { digest: content.digest, content };
  }
  if (demands)
    await holdToSignature(pieces, task, vertex, await resourceOf(pieces, source, attributes), checksum, demands);
  return { digest: checksum };
}

/** What the server has now, by digest, signed as the op demands. */
async function contentOf(
  pieces: SourcePieces,
  task: Task,
  vertex: Digest,
  source: SourceOp,
  attributes: HttpAttributes,
): Promise<HttpContent> {
  const resource = await resourceOf(pieces, source, attributes);
  const content = await (await pieces.origins.remote.http()).content(task, vertex, resource);
  const { demands } = attributes;
  if (demands) await holdToSignature(pieces, task, vertex, resource, content.digest, demands);
  return content;
}

/** The name of the file: as asked for, as the server calls it, or the last part of the URL. */
function nameOf(source: SourceOp, { filename }: HttpAttributes, content: HttpContent | undefined): string {
  return downloadName(source.identifier, filename, content?.disposition);
}

/** The request for a source. */
async function resourceOf(
  pieces: SourcePieces,
  source: SourceOp,
  { authSecret, headers }: HttpAttributes,
): Promise<HttpResource> {
  const url = source.identifier;
  const sent = { 'user-agent': `tsbuild/${version}`, ...Object.fromEntries(headers) };
  const authorization = await authorizationFor(pieces, url, authSecret);
  return { url, headers: sent, ...authorization };
}

/** BuildKit's secrets for downloads: the one that is named, else those for the host. */
async function authorizationFor(
  pieces: SourcePieces,
  url: string,
  named: string | undefined,
): Promise<{ authorization?: string; authName?: string }> {
  const read = (name: string, prefix: string): { authorization: string; authName: string } | undefined => {
    const data = pieces.credentials.secrets.get(name);
    return data && { authorization: `${prefix}${Buffer.from(data).toString('utf8').trim()}`, authName: name };
  };
  if (named !== undefined) {
    const found = read(named, '');
    if (!found)
      throw new TsbuildError('TSB_NETWORK', `failed to retrieve HTTP auth secret ${named}: not found`, {
        hint: `build with --secret id=${named},env=NAME`,
      });
    return found;
  }
  const host = URL.canParse(url) ? new URL(url).hostname : '';
  return read(`HTTP_AUTH_TOKEN_${host}`, 'Bearer ') ?? read(`HTTP_AUTH_HEADER_${host}`, '') ?? {};
}

/**
 * Attributes out of the graph, which may be anybody's.
 * @throws TsbuildError `TSB_LLB`
 */
function readAttributes(attrs: ReadonlyMap<string, string>): HttpAttributes {
  const checksum = attrs.get('http.checksum');
  if (checksum !== undefined && !isDigest(checksum))
    throw new TsbuildError('TSB_LLB', `invalid checksum digest format: ${JSON.stringify(checksum.slice(0, 100))}`);
  const headers = [...attrs].flatMap(([key, value]): [string, string][] => {
    const name = key.startsWith('http.header.') ? key.slice('http.header.'.length).toLowerCase() : '';
    return SETTABLE.has(name) ? [[name, value]] : [];
  });
  return {
    checksum,
    demands: fileDemandsOf(attrs),
    ...fileAttributes(attrs),
    authSecret: attrs.get('http.authheadersecret') || undefined,
    headers: headers.sort(([a], [b]) => (a < b ? -1 : 1)),
  };
}
