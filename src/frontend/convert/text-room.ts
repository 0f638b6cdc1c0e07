import type { TsbuildError } from '../../util/index.ts';
import { dockerfileError } from '../dockerfile/failure.ts';

/** Four times the largest Dockerfile, in UTF-16 units. */
const MAX_CHARACTERS = 64 * 1024 * 1024;

/** What it takes to hold a text that is there already: in a list, and with a name. */
const LISTED_CHARACTERS = 2;
const NAMED_CHARACTERS = 32;

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
    if (this.#left < 0) throw noRoom();
    return text;
  }

  /**
   * Counts texts that are held once more.
   * @throws TsbuildError `TSB_DOCKERFILE` when there is no room left
   */
  takeShared({ listed, named }: { readonly listed: number; readonly named: number }): void {
    this.#left -= listed * LISTED_CHARACTERS + named * NAMED_CHARACTERS;
    if (this.#left < 0) throw noRoom();
  }
}

function noRoom(): TsbuildError {
  return dockerfileError(`with its variables expanded the Dockerfile has more than ${MAX_CHARACTERS >> 20} MiB`);
}
