import { isHost, parseReference } from '../../image/index.ts';
import {
  commandRegistryOptions,
  listTags,
  type RegistryOptions,
  searchRegistry,
  type SearchResult,
} from '../../registry/index.ts';
import type { Task } from '../../events/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { type CliContext, interruptible, printForeign } from '../context.ts';
import { formatList } from '../lists/format-list.ts';
import { shorten } from '../lists/table.ts';
import { parseLists } from '../options/options.ts';
import type { RegistryFlags } from '../options/registry-flags.ts';
import { registrySession } from '../registry-session.ts';

/** Options of `tsbuild search`. */
export interface SearchOptions extends RegistryFlags {
  readonly limit?: string;
  readonly filter?: readonly string[];
  readonly format?: string;
  readonly trunc?: boolean;
  readonly listTags?: boolean;
}

const HUB = 'docker.io';

/** `tsbuild search` */
export async function searchCommand(context: CliContext, typed: string, options: SearchOptions): Promise<number> {
  // As podman and skopeo write it.
  const term = typed.replace(/^docker:\/\//, '');
  using interrupt = interruptible();
  const task: Task = { signal: interrupt.signal, events: () => undefined };
  const limit = parseLimit(options.limit ?? (options.listTags ? '1000' : '25'));
  const accepts = parseFilters(parseLists(options.filter));
  const { host, rest } = splitTerm(term);
  const session = registrySession(context, interrupt.signal, options, `${host ?? HUB}/x`);
  const registry: RegistryOptions & { limit: number } = { ...(await commandRegistryOptions(session)), limit };
  if (options.listTags) {
    const reference = parseReference(term);
    const name = `${reference.host}/${reference.path}`;
    const tags = await listTags(task, reference, registry);
    const rows = tags.map((tag) => ({ Name: name, Tag: tag }));
    await printForeign(
      context,
      formatList(options.format, {
        columns: [
          ['NAME', 'Name'],
          ['TAG', 'Tag'],
        ],
        rows,
        json: { Name: name, Tags: tags },
      }),
    );
    return 0;
  }
  const hosts = host === undefined ? searched(registry) : [host];
  const results: SearchResult[] = [];
  for (const each of hosts) results.push(...(await searchRegistry(task, each, rest, registry)));
  const shown = results.filter(accepts).slice(0, limit * hosts.length);
  const rows = shown.map((result) => ({
    Index: result.name.split('/')[0] ?? '',
    Name: result.name,
    Description: options.trunc === false ? result.description : shorten(result.description, 45),
    StarCount: String(result.stars),
    Stars: result.stars,
    IsOfficial: result.official ? '[OK]' : '',
    Official: result.official ? '[OK]' : '',
    IsAutomated: result.automated ? '[OK]' : '',
    Automated: result.automated ? '[OK]' : '',
  }));
  await printForeign(
    context,
    formatList(options.format, {
      columns: [
        ['NAME', 'Name'],
        ['DESCRIPTION', 'Description'],
        ['STARS', 'StarCount'],
        ['OFFICIAL', 'IsOfficial'],
      ],
      headers: {
        Index: 'INDEX',
        Stars: 'STARS',
        Official: 'OFFICIAL',
        Automated: 'AUTOMATED',
        IsAutomated: 'AUTOMATED',
      },
      rows,
      json: shown,
    }),
  );
  return 0;
}

/** What podman and docker take before the first slash for a registry. */
function splitTerm(term: string): { readonly host: string | undefined; readonly rest: string } {
  const [first = '', ...others] = term.split('/');
  const isRegistry = others.length > 0 && /[.:]|^localhost$/.test(first) && isHost(first);
  const rest = isRegistry ? others.join('/') : term;
  if (rest.includes('\0') || rest.length > 255 || (rest === '' && !isRegistry))
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot search for ${JSON.stringify(term.slice(0, 300))}: expected a part of a name`,
      {
        hint: 'for example: tsbuild search debian, tsbuild search registry.example.com/team',
      },
    );
  return { host: isRegistry ? first.toLowerCase() : undefined, rest };
}

/** Registries to search where none is named: those of registries.conf for short names, else the Docker Hub. */
function searched({ config }: RegistryOptions): readonly string[] {
  const named = config?.unqualifiedSearchRegistries ?? [];
  return named.length > 0 ? named : [HUB];
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (/^\d{1,6}$/.test(text) && limit > 0) return limit;
  throw new TsbuildError('TSB_USAGE', `Cannot use --limit ${JSON.stringify(text)}: expected a number from 1 on`);
}

/** `stars=N`, `is-official[=true]`, `is-automated[=true]`. */
function parseFilters(filters: readonly string[]): (result: SearchResult) => boolean {
  const tests = filters.map((filter): ((result: SearchResult) => boolean) => {
    const [key = '', value = 'true'] = filter.split(/=(.*)/s);
    if (key === 'stars' && /^\d{1,9}$/.test(value)) return ({ stars }) => stars >= Number(value);
    if (key === 'is-official' && /^(true|false)$/.test(value)) return ({ official }) => String(official) === value;
    if (key === 'is-automated' && /^(true|false)$/.test(value)) return ({ automated }) => String(automated) === value;
    throw new TsbuildError('TSB_USAGE', `Cannot use --filter ${JSON.stringify(filter)}`, {
      hint: 'there are stars=NUMBER, is-official=true|false and is-automated=true|false',
    });
  });
  return (result) => tests.every((accepts) => accepts(result));
}
