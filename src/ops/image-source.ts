import type { Op, SourceOp } from '../llb/index.ts';
import { formatPlatform } from '../image/index.ts';
import { TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import type { OpVertex } from './kind-runner.ts';
import type { ImageLayers, Origins } from './pieces.ts';

/**
 * The image that a source op names, for the platform of the op: all of its layers, or as many of the lowest as the op asks for. Asked for
 * once a build.
 * @throws TsbuildError `TSB_LLB` for a limit that is no number from 1 up, or that the image does not come to
 */
export async function imageOf(
  origins: Origins,
  task: Task,
  vertex: Pick<OpVertex, 'op' | 'digest' | 'name'>,
  source: SourceOp,
): Promise<ImageLayers> {
  const image = await origins.image(task, source.identifier, platformOf(vertex.op), source.attrs, {
    vertex: vertex.digest,
    name: vertex.name,
  });
  const limit = source.attrs.get('image.layerlimit') ?? source.attrs.get('oci.layerlimit') ?? '';
  return limit === '' ? image : lowest(image, limit, source.identifier);
}

/** The lowest layers of an image: another tree, and so another identity. */
function lowest(image: ImageLayers, limit: string, identifier: string): ImageLayers {
  const count = /^[1-9]\d{0,8}$/.test(limit) ? Number(limit) : 0;
  const what = `Cannot use ${limit} layers of ${JSON.stringify(identifier)}`;
  if (count === 0) throw new TsbuildError('TSB_LLB', `${what}: it is not a number of layers`);
  if (count > image.layers.length) throw new TsbuildError('TSB_LLB', `${what}: the image has ${image.layers.length}`);
  const layers = image.layers.slice(0, count);
  const chainId = layers.at(-1) ?? image.chainId;
  return { layers, chainId, manifestDigest: count < image.layers.length ? chainId : image.manifestDigest };
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
