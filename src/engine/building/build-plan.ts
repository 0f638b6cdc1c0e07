import { formatPlatform } from '../../image/index.ts';
import type { Mask } from '../../secrets/index.ts';
import type { Digest, SourceFile, SourceRange } from '../../util/index.ts';
import type { CompiledGraphs } from '../compiled.ts';

/** What a build is going to do, for whoever shows it. Secrets are hidden. */
export interface BuildPlan {
  readonly dockerfile: SourceFile;
  /** `linux/amd64`, in the order of the results. */
  readonly platforms: readonly string[];
  /** Where in the Dockerfile vertices come from. */
  readonly ranges: ReadonlyMap<Digest, readonly SourceRange[]>;
}

/**
 * The plan of a compiled request.
 * @param mask hides secrets; line by line, so that the numbers of lines stay what they are
 */
export function planOf({ platforms, dockerfile }: CompiledGraphs, mask: Mask | undefined): BuildPlan {
  const { name, text } = dockerfile.file;
  const shown =
    mask === undefined
      ? text
      : text
          .split('\n')
          .map((line) => mask.text(line))
          .join('\n');
  return {
    dockerfile: { name, text: shown },
    platforms: platforms.map(({ platform }) => formatPlatform(platform)),
    ranges: new Map(
      platforms.flatMap(({ graph }) =>
        graph.vertices.map(({ digest, ranges }): [Digest, readonly SourceRange[]] => [digest, ranges]),
      ),
    ),
  };
}
