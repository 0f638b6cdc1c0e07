import type { OutputSpec } from '../../exporter/index.ts';
import { commitTimeOf } from '../../source/index.ts';
import type { CompiledGraphs, PlatformGraph } from '../compiled.ts';
import type { ImageTimes } from '../compile/image-times.ts';
import type { OutputRequest } from './outputs.ts';
import type { BuildRequest } from '../request.ts';

/**
 * A request that is to give one digest wherever it is built, in terms of what any request can ask for. The time is that of the context's
 * commit: of a local one as git has it, of a remote one as BuildKit's `SOURCE_DATE_EPOCH=context` does it.
 * @throws TsbuildError when the time of the commit cannot be told
 */
export async function reproducibleRequest(request: BuildRequest): Promise<BuildRequest> {
  if (!request.reproducible) return request;
  const changed: BuildRequest = { contextPerms: 'auto', ...request };
  if (request.sourceDateEpoch !== undefined || request.buildArgs.has('SOURCE_DATE_EPOCH')) return changed;
  if (request.context?.kind === 'remote')
    return { ...changed, buildArgs: new Map([...request.buildArgs, ['SOURCE_DATE_EPOCH', 'context']]) };
  if (request.contextDir === undefined) return changed;
  const time = await commitTimeOf(request.contextDir);
  return time === undefined ? changed : { ...changed, sourceDateEpoch: time };
}

/**
 * The outputs of such a request: no time in them is later than the epoch, and those of the build itself are the epoch, whether it made a
 * layer now or for an earlier commit. Without one so far it is when the newest of the base images was
 * made, and 1970 for images from nothing.
 */
export function reproducibleOutput(
  request: BuildRequest,
  compiled: CompiledGraphs,
  output: OutputRequest,
  imageTimes: ImageTimes,
): OutputRequest {
  if (!request.reproducible) return output;
  const specs = output.specs.map((spec): OutputSpec =>
    'rewriteTimestamp' in spec ? { ...spec, rewriteTimestamp: true } : spec,
  );
  const buildsAfter = (platform: PlatformGraph): number => imageTimes.oldest(platform);
  if (output.epoch !== undefined || compiled.platforms[0]?.epoch !== undefined)
    return { ...output, specs, buildsAfter };
  const times = compiled.platforms.map(({ baseConfig }) => Date.parse(baseConfig?.created ?? ''));
  return { ...output, specs, buildsAfter, epoch: Math.floor(Math.max(0, ...times.filter((ms) => ms > 0)) / 1000) };
}
