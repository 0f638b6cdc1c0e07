import type { Connection } from '../../containers/index.ts';
import { endOf } from '../../runtime/index.ts';
import { TsbuildError } from '../../util/index.ts';
import type { CliContext } from '../context.ts';
import { reportError } from '../report.ts';

/** What a conversation's end means for this process. */
export async function codeOf(context: CliContext, end: Awaited<Connection['ended']>): Promise<number> {
  if (end === undefined) {
    await reportError(
      context,
      new TsbuildError('TSB_SANDBOX', 'The container ended with its supervisor, which somebody has killed'),
    );
    return 137;
  }
  const known = end.status === undefined ? end : endOf(end.status);
  if (known.error) await reportError(context, known.error);
  return known.exitCode;
}
