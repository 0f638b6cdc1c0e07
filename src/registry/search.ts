import type { Reference } from '../image/index.ts';
import type { Task } from '../events/index.ts';
import { parseStrictJson, sanitizeLine, TsbuildError } from '../util/index.ts';
import { type Call, Caller } from './caller.ts';
import type { Endpoint } from './http/endpoint.ts';
import type { HttpAnswer } from './http/http.ts';
import { nextLink } from './link.ts';
import { emptyRegistriesConfig, endpointsFor } from './registries-conf.ts';
import type { RegistryOptions } from './types.ts';

/** One page of an answer. */
const MAX_PAGE_BYTES = 4 << 20;
/** Pages of a catalog or of tags that are read; a registry that always has one more is not followed for ever. */
const MAX_PAGES = 200;
const PAGE = 1000;

/** A repository that was found. */
export interface SearchResult {
  /** `host/path`. */
  readonly name: string;
  readonly description: string;
  readonly stars: number;
  readonly official: boolean;
  readonly automated: boolean;
}

/**
 * Repositories of a registry by a part of their name. Asks for docker's search of old (`/v1/search`), which the Docker Hub and some others have,
 * else goes through the catalog (distribution's `_catalog`), which says no more than names.
 * @param limit of results
 * @throws TsbuildError `TSB_REGISTRY` where a registry offers neither, `TSB_NETWORK`
 */
export async function searchRegistry(
  task: Task,
  host: string,
  term: string,
  options: RegistryOptions & { readonly limit: number },
): Promise<readonly SearchResult[]> {
  await using caller = new Caller(options);
  const doing = `Cannot search ${JSON.stringify(host)}`;
  const { limit } = options;
  const isHub = host === 'docker.io';
  const endpoint = endpointOf(host, '', options);
  const query = new URLSearchParams({ q: term, n: String(limit) }).toString();
  const path = isHub ? new URL(`https://index.docker.io/v1/search?${query}`) : `../v1/search?${query}`;
  const search: Call = { doing, endpoint, method: 'GET', path, scope: '' };
  const answer = await caller.call(task, search);
  if (answer.status === 200) {
    const found = parseSearch(await answer.small(MAX_PAGE_BYTES), host);
    // A page for people at this address is no answer.
    if (found !== undefined) return found.slice(0, limit);
  } else if (isHub) throw await caller.failure(task, search, answer);
  else answer.discard();
  const results: SearchResult[] = [];
  const catalog: Call = { doing, endpoint, method: 'GET', path: '_catalog', scope: 'registry:catalog:*' };
  for await (const names of pages(task, caller, catalog, 'repositories')) {
    for (const name of names)
      if (name.includes(term) && results.length < limit)
        results.push({ name: `${host}/${name}`, description: '', stars: 0, official: false, automated: false });
    if (results.length >= limit) break;
  }
  return results;
}

/**
 * The tags of a repository, as the registry sorts them.
 * @throws TsbuildError `TSB_NOT_FOUND`, `TSB_REGISTRY`, `TSB_NETWORK`
 */
export async function listTags(
  task: Task,
  { host, path }: Reference,
  options: RegistryOptions & { readonly limit: number },
): Promise<readonly string[]> {
  await using caller = new Caller(options);
  const call: Call = {
    doing: `Cannot list the tags of ${JSON.stringify(`${host}/${path}`)}`,
    endpoint: endpointOf(host, path, options),
    method: 'GET',
    path: 'tags/list',
  };
  const tags: string[] = [];
  for await (const page of pages(task, caller, call, 'tags')) {
    for (const tag of page) tags.push(tag);
    if (tags.length >= options.limit) break;
  }
  return tags.slice(0, options.limit);
}

/** The registry itself, not its mirrors: what these have is not what there is. */
function endpointOf(host: string, path: string, { config = emptyRegistriesConfig }: RegistryOptions): Endpoint {
  const origin = endpointsFor({ host, path: path || 'x' }, config).at(-1);
  return { host, path, insecure: origin?.insecure ?? false, mirror: false };
}

/**
 * The names of all pages. Of a link to the next one only the query counts, whatever the registry calls its place in the list (`last`, Quay's
 * `next_page`): it does not get to send us elsewhere.
 */
async function* pages(task: Task, caller: Caller, call: Call, key: string): AsyncGenerator<readonly string[]> {
  let query = `?n=${PAGE}`;
  for (let page = 0; page < MAX_PAGES; page++) {
    const answer = await caller.call(task, { ...call, path: `${String(call.path)}${query}` });
    if (answer.status !== 200) throw await refusal(task, caller, call, answer, key);
    const names = parseNames(await answer.small(MAX_PAGE_BYTES), key, call.doing);
    yield names;
    const next = nextLink(answer.header('link'), answer.url)?.search ?? '';
    if (next === '' || next === query) return;
    query = next;
  }
}

async function refusal(task: Task, caller: Caller, call: Call, answer: HttpAnswer, key: string): Promise<TsbuildError> {
  const error = await caller.failure(task, call, answer);
  if (key === 'tags' || ![401, 403, 404, 405].includes(answer.status)) return error;
  return new TsbuildError(
    'TSB_REGISTRY',
    `${call.doing}: it offers no search, and does not list its repositories (${answer.status})`,
    {
      hint: `many registries have that for those who log in, or not at all: tsbuild login ${call.endpoint.host}; "tsbuild search --list-tags NAME" lists the tags of one`,
      cause: error,
    },
  );
}

function parseNames(bytes: Uint8Array, key: string, doing: string): readonly string[] {
  const document = parseStrictJson(bytes, { what: 'answer of the registry', maxBytes: MAX_PAGE_BYTES });
  const list = (document as Readonly<Record<string, unknown>> | null)?.[key] ?? [];
  if (!Array.isArray(list)) throw new TsbuildError('TSB_REGISTRY', `${doing}: the answer has no list of ${key}`);
  return list.filter((name) => typeof name === 'string').map((name) => sanitizeLine(name, 300));
}

/** Undefined when it is no answer to a search. */
function parseSearch(bytes: Uint8Array, host: string): readonly SearchResult[] | undefined {
  let document: unknown;
  try {
    document = parseStrictJson(bytes, { what: 'answer of the registry', maxBytes: MAX_PAGE_BYTES });
  } catch {
    return undefined;
  }
  const results = (document as { readonly results?: unknown } | null)?.results;
  if (!Array.isArray(results)) return undefined;
  return (results as unknown[]).flatMap((result): SearchResult[] => {
    if (typeof result !== 'object' || result === null) return [];
    const {
      name,
      description,
      star_count: stars,
      is_official: official,
      is_automated: automated,
    } = result as Record<string, unknown>;
    if (typeof name !== 'string') return [];
    return [
      {
        name: `${host}/${sanitizeLine(name, 300)}`,
        description: typeof description === 'string' ? sanitizeLine(description, 1000) : '',
        stars: typeof stars === 'number' ? stars : 0,
        official: official === true,
        automated: automated === true,
      },
    ];
  });
}
