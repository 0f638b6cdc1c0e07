import type { Op, SourceOp } from '../llb/index.ts';
import { formatPlatform } from '../image/index.ts';
import type { Task } from '../events/index.ts';
import type { OpVertex } from './kind-runner.ts';
import type { ImageLayers, Origins } from './pieces.ts';

/** The image that a source op names, for the platform of the op. Asked for once a build. */
export function imageOf(
  origins: Origins,
  task: Task,
  vertex: Pick<OpVertex, 'op' | 'digest' | 'name'>,
  source: SourceOp,
): Promise<ImageLayers> {
  return origins.image(task, source.identifier, platformOf(vertex.op), source.attrs, {
    vertex: vertex.digest,
    name: vertex.name,
  });
}

/** The platform of an op as text; `''` where it has none. */
export function platformOf(op: Op): string {
  const { platform } = op;
  if (!platform) return '';
  return formatPlatform({
    os: platform.os,
    architecture: platform.architecture,
    ...(platform.variant === '' ? {} : { variant: platform.variant }),
  });
}

/** Whether a source op names an image. */
export function isImageSource(source: SourceOp): boolean {
  return /^(docker-image|oci-layout):\/\//.test(source.identifier);
}
