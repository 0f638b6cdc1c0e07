import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PrunePolicy, StoreLimits } from '../../store/index.ts';
import { errnoOf, messageOf, parseDuration, parseSize, suggest, TsbuildError } from '../../util/index.ts';
import type { CliContext } from '../context.ts';
import { parsePruneFilters } from './prune-filters.ts';
import { named } from './named.ts';
import { homeDirectory } from '../store-root.ts';

/** Where the user's settings are: `$TSBUILD_CONFIG`, else `$XDG_CONFIG_HOME/tsbuild/config.toml`, else `~/.config/tsbuild/config.toml`. */
export function configPath({ env }: CliContext): string {
  const { TSBUILD_CONFIG, XDG_CONFIG_HOME, HOME } = env;
  if (TSBUILD_CONFIG) return TSBUILD_CONFIG;
  const dir = XDG_CONFIG_HOME?.startsWith('/') ? XDG_CONFIG_HOME : join(HOME || homeDirectory(), '.config');
  return join(dir, 'tsbuild/config.toml');
}

/**
 * How large the store may become: as the command line says, else the user's settings.
 * @param maxSize of `--max-size`
 * @throws TsbuildError `TSB_USAGE` for settings that cannot be used
 */
export async function storeLimits(context: CliContext, maxSize: string | undefined): Promise<StoreLimits> {
  const configured = await readLimits(context);
  const maxBytes = named('--max-size', maxSize, parseSize);
  return maxBytes === undefined ? configured : { ...configured, maxBytes };
}

async function readLimits(context: CliContext): Promise<StoreLimits> {
  const path = configPath(context);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' && !context.env['TSBUILD_CONFIG']) return { policies: [] };
    throw new TsbuildError('TSB_USAGE', `Cannot read the settings ${JSON.stringify(path)}: ${messageOf(error)}`);
  }
  const { parse } = await import('smol-toml');
  try {
    return limitsOf(parse(text));
  } catch (error) {
    throw new TsbuildError('TSB_USAGE', `Cannot use the settings ${JSON.stringify(path)}: ${messageOf(error)}`, {
      cause: error,
      hint: 'for example: [store] max-size = "20GB"; docs/store.md has all of it',
    });
  }
}

function limitsOf(document: Readonly<Record<string, unknown>>): StoreLimits {
  const top = table(document, 'the file', ['store']);
  const store = table(top['store'] ?? {}, '[store]', ['max-size', 'min-free', 'policy']);
  const rules = store['policy'] ?? [];
  if (!Array.isArray(rules)) throw new Error('"policy" is not a list: write [[store.policy]]');
  const maxBytes = size(store, 'max-size');
  const minFreeBytes = size(store, 'min-free');
  return {
    ...(maxBytes === undefined ? {} : { maxBytes }),
    ...(minFreeBytes === undefined ? {} : { minFreeBytes }),
    policies: rules.map((rule: unknown) => policyOf(rule)),
  };
}

function policyOf(value: unknown): PrunePolicy {
  const rule = table(value, '[[store.policy]]', ['filter', 'keep-duration', 'max-size', 'all']);
  const filters = rule['filter'] ?? [];
  const list = typeof filters === 'string' ? [filters] : filters;
  if (!Array.isArray(list) || !list.every((one): one is string => typeof one === 'string'))
    throw new Error('"filter" is not a list of texts');
  const { filter, untilMs } = parsePruneFilters(list, 'filter');
  const keep = rule['keep-duration'];
  if (keep !== undefined && typeof keep !== 'string') throw new Error('"keep-duration" is not a text such as "48h"');
  const keepMs = named('keep-duration', keep, parseDuration) ?? untilMs;
  const maxBytes = size(rule, 'max-size');
  const { all } = rule;
  if (all !== undefined && typeof all !== 'boolean') throw new Error('"all" is neither true nor false');
  // A rule that says nothing would take everything.
  if (keepMs === undefined && maxBytes === undefined)
    throw new Error('a [[store.policy]] needs "keep-duration", "max-size" or both');
  return {
    ...(filter === undefined ? {} : { filter }),
    ...(keepMs === undefined ? {} : { keepMs }),
    ...(maxBytes === undefined ? {} : { maxBytes }),
    ...(all === undefined ? {} : { all }),
  };
}

function table(value: unknown, what: string, keys: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error(`${what} is not a table`);
  for (const key of Object.keys(value)) {
    if (keys.includes(key)) continue;
    const near = suggest(key, [...keys]);
    throw new Error(`${what} has no "${key}"${near === undefined ? '' : `, did you mean "${near}"?`}`);
  }
  return value as Readonly<Record<string, unknown>>;
}

function size(from: Readonly<Record<string, unknown>>, key: string): number | undefined {
  const value = from[key];
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  if (typeof value !== 'string') throw new Error(`"${key}" is not a size such as "20GB"`);
  return named(key, value, parseSize);
}
