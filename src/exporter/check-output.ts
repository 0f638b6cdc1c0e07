import { TsbuildError } from '../util/index.ts';
import { STDOUT } from './attributes.ts';
import type { ImageFile, OutputSpec } from './output.ts';
import { checkDestination, checkStdout, type StdoutStream } from './sink.ts';

/**
 * Looks before the build whether an output can be written at all.
 * @throws TsbuildError `TSB_USAGE`, `TSB_EXPORT`, `TSB_NOT_FOUND`
 */
export function checkOutput(spec: OutputSpec | ImageFile, stdout: StdoutStream, platforms: number): void {
  if ('dest' in spec) {
    if (spec.dest === STDOUT) checkStdout(stdout, spec.type);
    const mayBeLayout = 'tar' in spec;
    const kind = spec.type === 'local' || (mayBeLayout && !spec.tar) ? 'directory' : 'file';
    checkDestination(spec.dest, kind, mayBeLayout);
  }
  if (spec.type === 'docker' && platforms > 1) {
    throw new TsbuildError(
      'TSB_EXPORT',
      'Cannot export: docker exporter does not currently support exporting manifest lists',
      {
        hint: 'use type=oci, which podman and skopeo take, and docker load with its containerd image store; or build for one platform',
      },
    );
  }
}
