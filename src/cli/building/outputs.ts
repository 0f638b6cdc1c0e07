import { chooseOutputs, type OutputSpec } from '../../exporter/index.ts';
import { annotationAttributes } from '../options/annotation.ts';
import type { BuildOptions } from './build-display.ts';
import type { CliContext } from '../context.ts';

/**
 * The outputs of a build, by `-o`, `-t`, `--push`, `--load` and what is for all images among them.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseOutputs(context: CliContext, options: BuildOptions): readonly OutputSpec[] {
  return chooseOutputs({
    cwd: context.cwd,
    outputs: options.output ?? [],
    tags: options.tag ?? [],
    push: options.push ?? false,
    load: options.load ?? false,
    attributes: [
      ...(options.annotation ?? []).flatMap(annotationAttributes),
      ...(options.rewriteTimestamp ? ['rewrite-timestamp=true'] : []),
    ],
  });
}
