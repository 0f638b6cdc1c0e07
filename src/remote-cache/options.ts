import { type Fail, parseAttributes, parseCsvLine } from '../exporter/index.ts';
import { messageOf, suggest, TsbuildError } from '../util/index.ts';
import { CacheAttributes, type CacheSurroundings } from './option-types/attributes.ts';
import { buildkit } from './option-types/buildkit.ts';
import { inline } from './option-types/inline.ts';
import { azblob } from './option-types/azblob.ts';
import { gha } from './option-types/gha.ts';
import { withoutSecrets } from './option-types/hidden.ts';
import { s3 } from './option-types/s3.ts';
import { local } from './option-types/local.ts';
import { joinMounts } from './option-types/mounts.ts';
import { registry } from './option-types/registry.ts';
import type { CacheOptionType, OptionForm } from './option-types/types.ts';
import type { CacheExport, CacheImport } from './request.ts';

type Flag = '--cache-from' | '--cache-to';

/** The types of caches, in the order in which messages name them. */
const TYPES: Readonly<Record<string, CacheOptionType>> = { registry, local, s3, gha, azblob, inline, buildkit };

/** Types that are not here, or not for both flags, with what to do instead. */
const UNSUPPORTED: Readonly<Record<string, string>> = {
  inline: 'a cache within an image is read by type=registry,ref=IMAGE',
};

/** Easily mixed up. */
const OPPOSITE: Readonly<Record<string, string>> = { src: 'dest', dest: 'src' };

/**
 * Parses the values of `--cache-from`: `type=registry,ref=REF`, `type=local,src=DIR` or a bare `REF`.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseCacheFrom(cwd: string, values: readonly string[], env: Env = {}): readonly CacheImport[] {
  return values.flatMap((text) => parse('--cache-from', text, ({ from }) => from, { cwd, env }));
}

/**
 * Parses the values of `--cache-to`: `type=registry,ref=REF`, `type=local,dest=DIR`, `type=inline` or a bare `REF`.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseCacheTo(cwd: string, values: readonly string[], env: Env = {}): readonly CacheExport[] {
  return values.flatMap((text) => parse('--cache-to', text, ({ to }) => to, { cwd, env }));
}

type Env = CacheSurroundings['env'];

function parse<T>(
  flag: Flag,
  text: string,
  formOf: (type: CacheOptionType) => OptionForm<T> | undefined,
  surroundings: CacheSurroundings,
): readonly T[] {
  const fail: Fail = (why, hint) =>
    new TsbuildError(
      'TSB_USAGE',
      `Cannot use ${flag} ${JSON.stringify(withoutSecrets(text))}: ${why}`,
      hint === undefined ? {} : { hint },
    );
  if (text === '') throw fail('it is empty');
  const fields = fieldsOf(flag, text);
  // Plain references, as buildx takes them.
  if (fields.every((field) => !field.includes('=')))
    return fields.flatMap(
      (ref) => formOf(registry)?.parse(new CacheAttributes(new Map([['ref', ref]]), fail, surroundings)) ?? [],
    );
  const attributes = parseAttributes(joinMounts(fields), fail);
  const type = attributes.get('type');
  attributes.delete('type');
  if (type === undefined)
    throw fail('"type" is required', 'for example: type=registry,ref=registry.example.com/app:cache');
  const form = Object.hasOwn(TYPES, type) ? formOf(TYPES[type] ?? {}) : undefined;
  if (form === undefined) throw unknownType(type, formOf, fail);
  refuseUnknown(type, form, attributes, fail);
  return form.parse(new CacheAttributes(attributes, fail, surroundings));
}

/** @throws TsbuildError `TSB_USAGE` that shows nothing from the first quote on: where quotes do not pair, nobody knows what is a secret */
function fieldsOf(flag: Flag, text: string): readonly string[] {
  try {
    return parseCsvLine(text);
  } catch (error) {
    const shown = JSON.stringify(`${withoutSecrets(text.slice(0, text.indexOf('"')))}…`);
    const [why] = messageOf(error).split(': ').slice(-1);
    throw new TsbuildError('TSB_USAGE', `Cannot use ${flag} ${shown}: ${why}`);
  }
}

/** The error of a type that there is not for this flag. */
function unknownType<T>(type: string, formOf: (type: CacheOptionType) => OptionForm<T> | undefined, fail: Fail): Error {
  const instead = Object.hasOwn(UNSUPPORTED, type) ? UNSUPPORTED[type] : undefined;
  if (instead !== undefined) return fail(`type=${type} is not supported`, instead);
  const types = Object.entries(TYPES).flatMap(([name, one]) => (formOf(one) === undefined ? [] : name));
  const near = suggest(type, [...types, ...Object.keys(UNSUPPORTED)]);
  const all = `types are ${types.slice(0, -1).join(', ')} and ${types.at(-1) ?? ''}`;
  return fail(`unknown type "${type}"`, near === undefined ? all : `did you mean "${near}"?`);
}

/** @throws what `fail` makes for the first attribute that the type does not have */
function refuseUnknown(
  type: string,
  { keys, instead }: OptionForm<unknown>,
  attributes: ReadonlyMap<string, string>,
  fail: Fail,
): void {
  for (const [key, value] of attributes) {
    if (keys.includes(key)) continue;
    if (key === 'registry.insecure') {
      if (value === 'false') continue;
      throw fail('"registry.insecure" is not supported', 'set "insecure = true" for the registry in registries.conf');
    }
    const other = Object.hasOwn(instead ?? {}, key) ? instead?.[key] : undefined;
    if (other !== undefined) throw fail(`type ${type} has no "${key}"`, other);
    const near = keys.includes(OPPOSITE[key] ?? '') ? OPPOSITE[key] : suggest(key, [...keys]);
    throw fail(
      `type ${type} has no "${key}"`,
      near === undefined ? `it has ${keys.join(', ')}` : `did you mean "${near}"?`,
    );
  }
}
