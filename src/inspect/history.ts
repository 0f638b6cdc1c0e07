import type { Descriptor, HistoryEntry } from '../image/index.ts';

/** What is asked of an image for its layers and their history. */
export interface LayeredImage {
  readonly manifest: { readonly layers: readonly Descriptor[] };
  readonly config: { readonly history: readonly HistoryEntry[] };
}

/** One instruction of an image's history, with the layer that it made, if it made one. */
export interface HistoryStep {
  readonly entry: HistoryEntry;
  readonly layer?: Descriptor;
}

/** The history of an image, the oldest first. Layers that the history does not mention come last, without a word on them. */
export function historyOf({ config, manifest }: LayeredImage): readonly HistoryStep[] {
  let next = 0;
  const steps = config.history.map((entry): HistoryStep => {
    const layer = entry.empty_layer === true ? undefined : manifest.layers[next++];
    return { entry, ...(layer === undefined ? {} : { layer }) };
  });
  return [...steps, ...manifest.layers.slice(next).map((layer) => ({ entry: {}, layer }))];
}

/** The instruction of a history entry on one line, as it was written: without what builders put around it. */
export function instructionOf({ created_by: text = '' }: HistoryEntry): string {
  return text
    .replace(/^\/bin\/sh -c #\(nop\)\s+/, '')
    .replace(/^(?:RUN )?(?:\|\d+ [^]*? )?\/bin\/sh -c /, 'RUN ')
    .replace(/ # buildkit$/, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
}
