import {
  type Descriptor,
  type ImageIndex,
  MAX_MANIFEST_BYTES,
  mediaTypes,
  parseDocument,
  parseIndex,
} from '../image/index.ts';
import { type Digest, hexOf, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import type { Call, Caller } from './caller.ts';
import type { Endpoint } from './http/endpoint.ts';
import type { HttpAnswer } from './http/http.ts';
import { nextLink } from './link.ts';
import { waitForRetry } from './http/retry.ts';

/** Pages of a list; more than this is nobody's list of signatures. */
const MAX_PAGES = 20;

/** Times that the list under the tag is written for one entry: eight who begin at the same moment take up to four. */
const MAX_WRITES = 8;

/** The tag that stands in for the list of referrers where a registry has no API for it (distribution-spec, "Referrers Tag Schema"). */
function fallbackTag(digest: Digest): string {
  return `sha256-${hexOf(digest)}`;
}

/**
 * What refers to a manifest, by the API of the registry or else by the tag.
 * @throws TsbuildError `TSB_REGISTRY`, `TSB_NETWORK`, `TSB_IMAGE`
 */
export async function listReferrers(
  task: Task,
  caller: Caller,
  endpoint: Endpoint,
  digest: Digest,
  artifactType: string | undefined,
): Promise<readonly Descriptor[]> {
  const found =
    (await byApi(task, caller, endpoint, digest, artifactType)) ?? (await byTag(task, caller, endpoint, digest));
  // Registries need not filter, and some say that they did and did not.
  return onceEach(artifactType === undefined ? found : found.filter((one) => one.artifactType === artifactType));
}

/** Writers that do not look add what is there a second time. */
function onceEach(found: readonly Descriptor[]): readonly Descriptor[] {
  return [...new Map(found.map((one) => [one.digest, one])).values()];
}

/** @returns undefined where the registry has no such API */
async function byApi(
  task: Task,
  caller: Caller,
  endpoint: Endpoint,
  digest: Digest,
  artifactType: string | undefined,
): Promise<readonly Descriptor[] | undefined> {
  const query = artifactType === undefined ? '' : `?${String(new URLSearchParams({ artifactType }))}`;
  const found: Descriptor[] = [];
  let path: string | URL = `referrers/${digest}${query}`;
  for (let page = 1; ; page++) {
    const call: Call = {
      doing: `Cannot list what refers to ${digest} in "${endpoint.host}/${endpoint.path}"`,
      endpoint,
      method: 'GET',
      path,
      headers: { accept: mediaTypes.ociIndex },
    };
    const { index, next } = await caller.retryBody(task, call, async (answer) => {
      if (answer.status === 404 || answer.status === 405) {
        answer.discard();
        return { index: undefined, next: undefined };
      }
      if (answer.status !== 200) throw await caller.failure(task, call, answer);
      const bytes = await answer.small(MAX_MANIFEST_BYTES);
      return { index: readIndex(bytes, answer, call.doing), next: nextPage(answer, call.doing) };
    });
    if (index === undefined && page === 1) return undefined;
    // Half of a list is none: a signature may be in the other half.
    if (index === undefined) throw new TsbuildError('TSB_REGISTRY', `${call.doing}: page ${page} of the list is none`);
    found.push(...index.manifests);
    if (next === undefined) return found;
    if (page === MAX_PAGES)
      throw new TsbuildError('TSB_REGISTRY', `${call.doing}: the list has more than ${MAX_PAGES} pages`);
    path = next;
  }
}

/** A registry without the API may answer 200 with a page of HTML: that is no list. */
function readIndex(bytes: Uint8Array, answer: HttpAnswer, doing: string): ImageIndex | undefined {
  const type = answer.header('content-type')?.split(';')[0]?.trim();
  return type === mediaTypes.ociIndex ? parseIndex(bytes, type, `the answer (${doing})`) : undefined;
}

/** The next page, which must be one of the same server. */
function nextPage(answer: HttpAnswer, doing: string): URL | undefined {
  const url = nextLink(answer.header('link'), answer.url);
  if (url !== undefined && url.origin !== answer.url.origin)
    throw new TsbuildError('TSB_REGISTRY', `${doing}: its next page is on another server`);
  return url;
}

async function byTag(task: Task, caller: Caller, endpoint: Endpoint, digest: Digest): Promise<readonly Descriptor[]> {
  const call: Call = {
    doing: `Cannot list what refers to ${digest} in "${endpoint.host}/${endpoint.path}"`,
    endpoint,
    method: 'GET',
    path: `manifests/${fallbackTag(digest)}`,
    headers: { accept: mediaTypes.ociIndex },
  };
  return caller.retryBody(task, call, async (answer) => {
    if (answer.status === 404) {
      answer.discard();
      return [];
    }
    if (answer.status !== 200) throw await caller.failure(task, call, answer);
    return parseIndex(await answer.small(MAX_MANIFEST_BYTES), mediaTypes.ociIndex, `referrers of ${digest}`).manifests;
  });
}

/** A manifest that was pushed. */
export interface PushedManifest {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  /** Whether the registry has taken notice of the subject. */
  readonly isKnown: boolean;
}

/**
 * Makes a manifest that was pushed known to who asks for the referrers of its subject. A registry that knows of referrers does so by itself
 * and says so; for others the list under the tag is written anew.
 *
 * The last of several who write the list at the same time wins, and registries have no condition for it. So it is read again a moment later,
 * and written once more where the entry has gone: the moment is as long as one writer takes, doubled with every try, since by then
 * whoever had read the list before has written it.
 * @throws TsbuildError `TSB_REGISTRY`, `TSB_NETWORK`
 */
export async function announceReferrer(
  task: Task,
  caller: Caller,
  endpoint: Endpoint,
  pushed: PushedManifest,
  now: () => number,
): Promise<void> {
  const found = subjectOf(pushed);
  if (found === undefined) return;
  const { subject, entry } = found;
  for (let attempt = 1; ; attempt++) {
    const start = now();
    const known = await byTag(task, caller, endpoint, subject);
    if (known.some(({ digest }) => digest === entry.digest)) return;
    const call: Call = {
      doing: `Cannot write the list of what refers to ${subject} in "${endpoint.host}/${endpoint.path}"`,
      endpoint,
      method: 'PUT',
      path: `manifests/${fallbackTag(subject)}`,
      headers: { 'content-type': mediaTypes.ociIndex },
      body: JSON.stringify({
        schemaVersion: 2,
        mediaType: mediaTypes.ociIndex,
        manifests: [...onceEach(known), entry],
      }),
      scope: `repository:${endpoint.path}:pull,push`,
    };
    if (attempt > MAX_WRITES)
      throw new TsbuildError('TSB_REGISTRY', `${call.doing}: others write it at the same time, or it is not kept`, {
        hint: 'push again, one after the other',
      });
    const answer = await caller.call(task, call);
    if (answer.status !== 201 && answer.status !== 200) throw await caller.failure(task, call, answer);
    answer.discard();
    await waitForRetry(task, { ...caller.limits, backoffMs: now() - start }, attempt, undefined, now);
  }
}

/** What a manifest refers to, with the entry that lists have of it; nearly all are about nothing but themselves. */
function subjectOf({
  descriptor,
  bytes,
  isKnown,
}: PushedManifest): { readonly subject: Digest; readonly entry: Descriptor } | undefined {
  if (isKnown || !Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes('"subject"')) return undefined;
  const document = parseDocument(bytes, descriptor.mediaType, `manifest ${descriptor.digest}`);
  const { subject, artifactType, annotations } = document.kind === 'manifest' ? document.manifest : document.index;
  if (subject === undefined) return undefined;
  const type = artifactType ?? (document.kind === 'manifest' ? document.manifest.config.mediaType : undefined);
  const entry: Descriptor = {
    ...descriptor,
    ...(type === undefined ? {} : { artifactType: type }),
    ...(annotations === undefined ? {} : { annotations }),
  };
  return { subject: subject.digest, entry };
}
