import type { FrontendWarning } from './host.ts';
import type { WarnRequest } from './types.ts';

const MAX_BYTES = 4096;
const MAX_RANGES = 100;

/** A warning of a frontend, cut to what can be shown. */
export function toWarning({ short, info, ranges }: WarnRequest): FrontendWarning {
  return {
    message: Buffer.from(short.subarray(0, MAX_BYTES)).toString('utf8'),
    ranges: ranges.slice(0, MAX_RANGES).flatMap(({ start, end }) => {
      if (start === undefined || start.line < 1) return [];
      return [{ file: info?.filename ?? '', startLine: start.line, endLine: Math.max(start.line, end?.line ?? 0) }];
    }),
  };
}
