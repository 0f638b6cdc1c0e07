import { dockerfileError } from '../dockerfile/failure.ts';

/** Four times the largest Dockerfile, in UTF-16 units. */
const MAX_CHARACTERS = 64 * 1024 * 1024;

/**
 * How much text a Dockerfile may come to for one platform. Each expansion has a limit of its own, but a hundred thousand
 * instructions may each expand to that: values, names of steps, history and files would take all memory. Whatever is kept
 * of them takes its room here first.
 */
export class TextRoom {
  #left = MAX_CHARACTERS;

  /**
   * Counts `text` and gives it back.
   * @throws TsbuildError `TSB_DOCKERFILE` when there is no room left
   */
  take(text: string): string {
    this.#left -= text.length;
    if (this.#left < 0) {
      throw dockerfileError(`with its variables expanded the Dockerfile has more than ${MAX_CHARACTERS >> 20} MiB`);
    }
    return text;
  }
}
