import { type SourceRange, TsbuildError } from '../util/index.ts';
import { statusCodes } from './status.ts';
import type { PbAny, ReturnRequest } from './types.ts';

/** Lines of a source file that are shown for one error. */
const MAX_RANGES = 20;

/**
 * What a frontend ended with instead of a result. Where it only passes on what one of its calls failed of, that is told again, with its
 * place and hint; else its own words count.
 * @param told what calls failed of
 */
export function frontendFailure(
  { code, message, details }: NonNullable<ReturnRequest['error']>,
  told: readonly { readonly message: string; readonly error: TsbuildError }[],
): TsbuildError {
  const known = told.filter((one) => one.message !== '' && message.includes(one.message)).at(-1);
  if (known !== undefined) return known.error;
  const ranges = details.flatMap(rangesOf).slice(0, MAX_RANGES);
  const text = message.trim() === '' ? `the frontend failed with status ${code} and no message` : message.trim();
  return new TsbuildError(code === statusCodes.notFound ? 'TSB_NOT_FOUND' : 'TSB_DOCKERFILE', text, { ranges });
}

/** Places in a source file, which BuildKit's clients attach as JSON. */
function rangesOf({ typeUrl, value }: PbAny): readonly SourceRange[] {
  if (!/errdefs\.Source\b/.test(typeUrl)) return [];
  try {
    const { info, ranges } = JSON.parse(Buffer.from(value).toString('utf8')) as {
      readonly info?: { readonly filename?: unknown };
      readonly ranges?: unknown;
    };
    const file = typeof info?.filename === 'string' ? info.filename : '';
    if (!Array.isArray(ranges)) return [];
    return ranges.flatMap((range: unknown): SourceRange[] => {
      const startLine = lineOf(range, 'start');
      if (startLine === undefined) return [];
      return [{ file, startLine, endLine: Math.max(startLine, lineOf(range, 'end') ?? startLine) }];
    });
  } catch {
    // It only says where, and not what.
    return [];
  }
}

function lineOf(range: unknown, end: 'start' | 'end'): number | undefined {
  const position: unknown = typeof range === 'object' && range !== null ? Reflect.get(range, end) : undefined;
  const line: unknown = typeof position === 'object' && position !== null ? Reflect.get(position, 'line') : undefined;
  return typeof line === 'number' && Number.isSafeInteger(line) && line > 0 ? line : undefined;
}
