import {
  BuildFailure,
  compileRequest,
  explainRefusals,
  locateFailure,
  openLock,
  openSession,
} from '../../engine/index.ts';
import { formatDefinition, type LlbFormat } from '../../llb/index.ts';
import { formatFailure } from '../../progress/index.ts';
import { exitCodeOf, isTsbuildError, type SourceFile, TsbuildError } from '../../util/index.ts';
import { type GraphOptions, parseBuildRequest } from '../options/build-request.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { reachOptions, sessionOptions } from '../session-options.ts';

/** `tsbuild llb` */
export async function llbCommand(
  context: CliContext,
  path: string,
  options: GraphOptions & { readonly format: LlbFormat },
): Promise<number> {
  if (options.format === 'binary' && context.stdout.isTTY) {
    throw new TsbuildError('TSB_USAGE', 'Cannot write a binary definition to a terminal', {
      hint: 'use --format=json, dot or mermaid, or redirect standard output',
    });
  }
  const request = await parseBuildRequest(context, path, options);
  using interrupt = interruptible();
  await using session = openSession({
    ...sessionOptions(context, interrupt.signal),
    ...reachOptions(options),
  });
  let source: SourceFile | undefined;
  try {
    openLock(session, request);
    const { compiled } = await compileRequest(session, { signal: interrupt.signal, events: () => undefined }, request, {
      onSource: (file) => {
        source = file;
      },
    });
    const [platform, ...others] = compiled.platforms;
    if (!platform || others.length > 0)
      throw new TsbuildError('TSB_USAGE', 'Cannot write graphs of several platforms: name one with --platform');
    await print(context, formatDefinition(platform.definition, options.format));
    return 0;
  } catch (error) {
    const located = locateFailure(explainRefusals(session, error), source, () => []);
    if (!isTsbuildError(located)) throw located;
    context.stderr.write(
      formatFailure({
        message: located.message,
        ...(located instanceof BuildFailure ? { excerpt: located.excerpt, solving: located.solving } : {}),
        ...(located.hint === undefined ? {} : { hint: located.hint }),
      }),
    );
    return exitCodeOf(located);
  }
}
