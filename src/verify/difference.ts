/** One thing that differs between an image and the same built again. Values are as people read them; absent: not there. */
export type Difference =
  /** A value of the manifest or the config. */
  | {
      readonly kind: 'manifest' | 'config';
      readonly layer?: undefined;
      /** As in JavaScript: `config.Env[2]`. */
      readonly path: string;
      readonly image?: unknown;
      readonly rebuilt?: unknown;
    }
  /** A record of the cache within the image (`--cache-to type=inline`). */
  | {
      readonly kind: 'cache';
      readonly layer?: undefined;
      /** The record's key, and what of it: `["sha256:…"].layers[0]`. `''` for all of it, where only one image has a cache. */
      readonly path: string;
      readonly image?: unknown;
      readonly rebuilt?: unknown;
    }
  /**
   * A layer as a whole. `absent` and `added`: one of the two has it only. `compression`: the same tar in other bytes. `order`: the same
   * entries in another order, or in other headers.
   */
  | {
      readonly kind: 'layer';
      /** From 1, bottom first. */
      readonly layer: number;
      /** The instruction that made it, as the history has it. */
      readonly createdBy?: string;
      readonly what: 'absent' | 'added' | 'compression' | 'order';
      readonly image?: string;
      readonly rebuilt?: string;
    }
  /** An entry of a layer. */
  | {
      readonly kind: 'entry';
      readonly layer: number;
      readonly createdBy?: string;
      /** Path in the layer, with a slash in front. */
      readonly path: string;
      readonly what: 'absent' | 'added' | 'changed';
      readonly fields: readonly FieldDifference[];
      readonly content?: ContentDifference;
    };

/** A field of an entry: `mode` in octal, `mtime` in ISO 8601, `size` in bytes. */
export interface FieldDifference {
  readonly field: string;
  readonly image: string;
  readonly rebuilt: string;
}

/** Where the contents of a file part. */
export interface ContentDifference {
  /** Bytes from the start. */
  readonly offset: number;
  /** Some bytes from there on, escaped where they are not printable. */
  readonly image: string;
  readonly rebuilt: string;
}
