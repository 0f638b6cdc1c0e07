import { compile } from '../convert/support.ts';
import { mistakeOf } from '../convert/commands/support.ts';
import type { Finding } from '../../../src/frontend/lint/index.ts';

/** A finding by its rule, what its message quotes, and its first line. */
function short({ code, message, ranges }: Finding): string {
  return [code, ...(message.match(/'[^']*'|"[^"]*"|\(did.*\)/g) ?? []), `@${ranges[0]?.startLine}`].join(' ');
}

/** What BuildKit's rules find in all stages of a Dockerfile, sorted; the message where it cannot be built. */
export async function foundIn(text: string): Promise<readonly string[] | string> {
  const mistake = await mistakeOf(text, { allStages: true });
  if (mistake !== 'compiled') return mistake;
  const { diagnostics } = await compile(text, { allStages: true });
  const own = diagnostics.filter(({ advice, url }) => !advice && url !== undefined);
  return [...new Set(own.map(short))].sort();
}
