import { TsbuildError } from '../util/index.ts';
import type { UsageRecord } from './types.ts';

const TEXTS = ['id', 'type', 'description', 'parents'] as const;
const FLAGS: Readonly<Record<string, (record: UsageRecord) => boolean>> = {
  inuse: (record) => record.inUse,
  shared: (record) => record.shared,
  private: (record) => !record.shared,
};

/**
 * Filters in BuildKit's form: `type==exec.cachemount`, `id!=abc`, `description~=^COPY`, `inuse`, `shared`, `private`.
 * Comma-separated parts of one filter must all hold, of several filters any.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseFilters(filters: readonly string[]): (record: UsageRecord) => boolean {
  const alternatives = filters.map((filter) => {
    const parts = filter.split(',').map((part) => parsePart(part.trim()));
    return (record: UsageRecord): boolean => parts.every((part) => part(record));
  });
  return (record) => alternatives.length === 0 || alternatives.some((matches) => matches(record));
}

function parsePart(text: string): (record: UsageRecord) => boolean {
  const flag = FLAGS[text];
  if (flag && Object.hasOwn(FLAGS, text)) return flag;
  const match = /^([a-z]+)(==|=|!=|~=)(.*)$/s.exec(text);
  const field = TEXTS.find((name) => name === match?.[1]);
  if (!match || !field) {
    throw new TsbuildError('TSB_USAGE', `Cannot use filter ${JSON.stringify(text)}`, {
      hint: `fields are ${TEXTS.join(', ')} with ==, != or ~=, and the words ${Object.keys(FLAGS).join(', ')}`,
    });
  }
  const test = comparison(match[2] ?? '', match[3] ?? '');
  return (record) => {
    const value = record[field];
    return typeof value === 'string' ? test(value) : value.some((item) => test(item));
  };
}

function comparison(operator: string, wanted: string): (value: string) => boolean {
  if (operator === '!=') return (value) => value !== wanted;
  if (operator !== '~=') return (value) => value === wanted;
  let pattern: RegExp;
  try {
    pattern = new RegExp(wanted);
  } catch (error) {
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot use filter pattern ${JSON.stringify(wanted)}: it is not a regular expression`,
      {
        cause: error,
      },
    );
  }
  return (value) => pattern.test(value);
}
