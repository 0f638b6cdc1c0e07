import type { BuildRecording, RecordMode } from '../../recording/index.ts';
import type { Digest } from '../../util/index.ts';

/** The networks of those steps of a build that are recorded. */
export interface RecordedSteps {
  /** How a step's is; undefined for one that is not recorded. */
  readonly modeOf: (vertex: Digest) => RecordMode | undefined;
  readonly recording: Pick<BuildRecording, 'key' | 'open'>;
}
