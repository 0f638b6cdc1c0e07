import type { Bridge } from '../../frontend/index.ts';
import type { ImageConfig } from '../../image/index.ts';
import type { Digest } from '../../util/index.ts';
import type { PlatformGraph } from '../compiled.ts';

/**
 * When the base images of a build were made. What a build makes itself is younger than all of them, whenever it ran: so a time after that
 * of the oldest is one of the build, also in a layer that a build of an earlier commit left in the cache, and says nothing of the image.
 */
export class ImageTimes {
  readonly #made = new Map<Digest, number>();

  /** A bridge whose images are noted. */
  watch(bridge: Bridge): Bridge {
    return {
      ...bridge,
      resolveImage: async (request) => {
        const image = await bridge.resolveImage(request);
        if (image.digest !== undefined) this.note(image.digest, image.config);
        return image;
      },
    };
  }

  /** Notes an image that was asked for by other means. */
  note(digest: Digest, { created }: Pick<ImageConfig, 'created'>): void {
    const ms = Date.parse(created ?? '');
    this.#made.set(digest, Number.isNaN(ms) ? 0 : Math.floor(ms / 1000));
  }

  /**
   * The time of the oldest base image that the graph of a platform has, in seconds since the epoch; 0 where there is none, for then all is
   * the build's own, and for an image that does not tell.
   */
  oldest({ graph }: Pick<PlatformGraph, 'graph'>): number {
    const times = graph.vertices.flatMap(({ op: { body } }) => {
      const digest = body?.kind === 'source' ? /@(sha256:[0-9a-f]{64})$/.exec(body.identifier)?.[1] : undefined;
      return digest === undefined ? [] : [this.#made.get(digest as Digest) ?? 0];
    });
    return Math.max(0, times.length === 0 ? 0 : Math.min(...times));
  }
}
