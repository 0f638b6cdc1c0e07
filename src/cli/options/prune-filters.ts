import type { UsageRecord } from '../../store/index.ts';
import { parseDuration, suggest, TsbuildError } from '../../util/index.ts';
import { named } from './named.ts';

/** What `--filter` values come to. */
export interface PruneFilter {
  /** All of them have to say yes; undefined where there is none but `until`. */
  readonly filter?: (record: UsageRecord) => boolean;
  /** ms that something has not been used. */
  readonly untilMs?: number;
}

type Test = (record: UsageRecord) => boolean;

/** Fields of records, as `tsbuild du --format=json` shows them and buildctl names them. */
const FIELDS: Readonly<Record<string, (record: UsageRecord) => string>> = {
  type: ({ type }) => type,
  id: ({ id }) => id,
  description: ({ description }) => description,
  shared: ({ shared }) => String(shared),
};
const HINT =
  'for example type=exec.cachemount, type!=regular, description~=npm, id=ID, shared=false or until=48h; "tsbuild du --format=json" shows all of them';

/**
 * Parses filters: `FIELD=VALUE`, `FIELD==VALUE`, `FIELD!=VALUE`, `FIELD~=PATTERN` with a regular expression, and `until=DURATION`, of
 * which the last one counts.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parsePruneFilters(values: readonly string[], flag = '--filter'): PruneFilter {
  let untilMs: number | undefined;
  const tests: Test[] = [];
  for (const value of values) {
    const fail = (why: string, hint = HINT): TsbuildError =>
      new TsbuildError('TSB_USAGE', `Cannot use ${flag} ${JSON.stringify(value)}: ${why}`, { hint });
    const match = /^([a-z-]+)(!=|==|~=|=)(.*)$/s.exec(value);
    if (match === null) throw fail('it is not FIELD=VALUE');
    const [, name = '', operator = '', wanted = ''] = match;
    if (['until', 'unused-for'].includes(name) && operator.startsWith('=')) {
      untilMs = named(`${flag} ${name}=`, wanted, parseDuration);
      continue;
    }
    const field = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined;
    if (field === undefined) {
      const near = suggest(name, [...Object.keys(FIELDS), 'until']);
      throw fail(`there is no field ${JSON.stringify(name)}`, near === undefined ? HINT : `did you mean "${near}"?`);
    }
    tests.push(testOf(field, operator, wanted, fail));
  }
  return {
    ...(tests.length === 0 ? {} : { filter: (record) => tests.every((test) => test(record)) }),
    ...(untilMs === undefined ? {} : { untilMs }),
  };
}

function testOf(
  field: (record: UsageRecord) => string,
  operator: string,
  wanted: string,
  fail: (why: string) => TsbuildError,
): Test {
  switch (operator) {
    case '!=':
      return (record) => field(record) !== wanted;
    case '~=': {
      let pattern: RegExp;
      try {
        pattern = new RegExp(wanted, 'u');
      } catch {
        throw fail('it is not a regular expression');
      }
      return (record) => pattern.test(field(record));
    }
    default:
      return (record) => field(record) === wanted;
  }
}
