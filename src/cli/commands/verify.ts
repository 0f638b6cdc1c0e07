import { BuildFailure, openSession, verifyImage } from '../../engine/index.ts';
import { parsePlatform } from '../../image/index.ts';
import { firstError, TsbuildError } from '../../util/index.ts';
import { formatComparison } from '../../verify/index.ts';
import { annotationAttributes } from '../options/annotation.ts';
import { parseBuildRequest } from '../options/build-request.ts';
import { type CliContext, interruptible, print } from '../context.ts';
import { reachOptions, sessionOptions } from '../session-options.ts';
import { type BuildOptions, harmlessContext, reportFailure, startProgress } from '../building/build-display.ts';

/** `tsbuild verify`: 0 when the image is the same built again, 1 when it is not, or cannot be built. */
export async function verifyCommand(
  caller: CliContext,
  image: string,
  path: string,
  options: BuildOptions & { readonly format: 'text' | 'json' },
): Promise<number> {
  const context = harmlessContext(caller, options);
  const [platform, ...others] = options.platform ?? [];
  if (others.length > 0 || platform?.includes(','))
    throw new TsbuildError('TSB_USAGE', 'Cannot verify several platforms at once', {
      hint: 'run it for each --platform',
    });
  const build = await parseBuildRequest(context, path, { ...options, platform: [] });
  using interrupt = interruptible();
  const progress = startProgress(context, options, 'Verifying');
  try {
    await using session = openSession({ ...sessionOptions(context, interrupt.signal), ...reachOptions(options) });
    const task = { signal: interrupt.signal, events: progress.events };
    const comparison = await verifyImage(session, task, {
      image,
      cwd: context.cwd,
      ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
      build,
      attributes: (options.annotation ?? []).flatMap(annotationAttributes),
      stdout: context.stdout,
    });
    await progress.close();
    const text = options.format === 'json' ? JSON.stringify(comparison, null, 2) : formatComparison(comparison);
    await print(context, `${text}\n`);
    return comparison.identical ? 0 : 1;
  } catch (thrown) {
    const error = firstError(thrown);
    await progress.close();
    return reportFailure(context, interrupt, error, error instanceof BuildFailure ? error : {});
  }
}
