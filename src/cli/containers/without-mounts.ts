import type { ImageConfig } from '../../image/index.ts';
import type { NamespacePlan } from '../../sandbox/index.ts';
import { sanitizeLine } from '../../util/index.ts';
import type { CliContext } from '../context.ts';
import type { MountOptions } from '../options/mount-options.ts';

/** Says what of a container's files is otherwise than asked for where nothing can be mounted: one line each, and never silently. */
export function warnWithoutMounts(
  context: CliContext,
  { how, steps }: Pick<NamespacePlan, 'how' | 'steps'>,
  { readOnly }: MountOptions,
  { config }: ImageConfig,
): void {
  if (how !== 'none' || steps === false) return;
  if (readOnly)
    context.stderr.write(
      'warning: the container can write to all of its files: nothing can be mounted here (rung 5), so that --read-only does not hold\n',
    );
  const paths = Object.keys(config.Volumes ?? {});
  if (paths.length > 0)
    context.stderr.write(
      `warning: no volume is made for ${sanitizeLine(paths.join(', '), 300)}: nothing can be mounted here (rung 5); what is written there goes with the container\n`,
    );
}
