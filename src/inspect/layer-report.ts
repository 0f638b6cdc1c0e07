import { compressionOf, type ContentProvider, type Descriptor } from '../image/index.ts';
import { decompress, type TarEntry, TarReader } from '../layer/index.ts';
import type { Task } from '../events/index.ts';
import { throwIfCanceled } from '../registry/index.ts';
import { toText } from '../tree/index.ts';
import { Hasher, TsbuildError } from '../util/index.ts';
import { bySize, DirectorySizes, type SizedPath } from './directory-sizes.ts';
import { historyOf, instructionOf, type LayeredImage } from './history.ts';
import { LayerTree, type Loss, partsOf } from './layer-tree.ts';

/** How many of the largest are named. */
const TOP = 10;
/** The same of all layers together. */
const TOP_OF_ALL = 40;

/** What one layer adds to an image. */
export interface LayerReport {
  readonly digest: string;
  /** The instruction that made it; empty where the history says nothing. */
  readonly instruction: string;
  /** Bytes of the blob. */
  readonly size: number;
  /** Bytes of its files. */
  readonly contentSize: number;
  readonly files: number;
  readonly directories: number;
  /** Files and links that lower layers have, and that this one has anew. */
  readonly overwritten: number;
  readonly deleted: number;
  /** Bytes of its own files that later layers cover or delete. */
  readonly wasted: number;
  readonly largestFiles: readonly SizedPath[];
  /** Bytes of all that this layer has below a directory; those with nearly all of their parent's are left out for the parent. */
  readonly largestDirectories: readonly SizedPath[];
}

/** A path whose content is in the image, and seen by nobody. */
export interface WastedPath extends SizedPath {
  /** Numbers of the layers that have it, from 1. */
  readonly layers: readonly number[];
}

/** What the layers of an image add and waste. Bytes of content are before compression. */
export interface LayersReport {
  readonly layers: readonly LayerReport[];
  readonly contentSize: number;
  readonly wasted: number;
  /** The part of the content that is seen, from 0 to 1. */
  readonly efficiency: number;
  readonly wastedPaths: readonly WastedPath[];
  /** Bytes that all layers have below a directory, as `largestDirectories` of a layer. */
  readonly largestDirectories: readonly SizedPath[];
}

/** Counts of one layer while it is read. */
interface Counts {
  contentSize: number;
  files: number;
  directories: number;
  overwritten: number;
  deleted: number;
  wasted: number;
  readonly sizes: Map<string, number>;
  readonly below: DirectorySizes;
}

/**
 * Reads all layers of an image, the lowest first, and lays them over each other.
 * @throws TsbuildError `TSB_ARCHIVE`, `TSB_NOT_FOUND`, and what the provider throws
 */
export async function reportLayers(task: Task, provider: ContentProvider, image: LayeredImage): Promise<LayersReport> {
  const tree = new LayerTree();
  const all: Counts[] = [];
  const wasted = new Map<string, { size: number; layers: Set<number> }>();
  for (const [layer, descriptor] of image.manifest.layers.entries()) {
    const counts: Counts = {
      contentSize: 0,
      files: 0,
      directories: 0,
      overwritten: 0,
      deleted: 0,
      wasted: 0,
      sizes: new Map(),
      below: new DirectorySizes(),
    };
    all.push(counts);
    const lose = (losses: readonly Loss[]): number => {
      for (const { path, size, from } of losses) {
        const owner = all[from];
        if (owner !== undefined) owner.wasted += size;
        const known = wasted.get(path) ?? { size: 0, layers: new Set<number>() };
        known.size += size;
        known.layers.add(from + 1);
        wasted.set(path, known);
      }
      return losses.length;
    };
    await readLayer(task, provider, descriptor, (entry) => addEntry(tree, counts, layer, entry, lose));
  }
  const steps = historyOf(image).filter(({ layer }) => layer !== undefined);
  const below = new DirectorySizes();
  for (const counts of all) below.addAll(counts.below);
  const contentSize = all.reduce((sum, counts) => sum + counts.contentSize, 0);
  const lost = all.reduce((sum, counts) => sum + counts.wasted, 0);
  return {
    layers: image.manifest.layers.map((descriptor, index) => {
      const { sizes, below: ownBelow, ...counts } = all[index] as Counts;
      return {
        digest: descriptor.digest,
        instruction: instructionOf(steps[index]?.entry ?? {}),
        size: descriptor.size,
        ...counts,
        largestFiles: largest(sizes),
        largestDirectories: ownBelow.largest(TOP),
      };
    }),
    contentSize,
    wasted: lost,
    efficiency: contentSize === 0 ? 1 : (contentSize - lost) / contentSize,
    wastedPaths: [...wasted]
      .filter(([, { size }]) => size > 0)
      .map(([path, { size, layers }]) => ({ path, size, layers: [...layers].sort((a, b) => a - b) }))
      .sort(bySize)
      .slice(0, 50),
    largestDirectories: below.largest(TOP_OF_ALL),
  };
}

async function readLayer(
  task: Task,
  provider: ContentProvider,
  descriptor: Descriptor,
  onEntry: (entry: TarEntry) => void,
): Promise<void> {
  const compression = compressionOf(descriptor.mediaType);
  if (compression === undefined)
    throw new TsbuildError(
      'TSB_IMAGE',
      `Cannot look into layer ${descriptor.digest}: it is of type ${descriptor.mediaType}`,
    );
  const reader = new TarReader({ entry: onEntry, data: () => undefined, end: () => undefined });
  for await (const chunk of decompress(verified(provider, descriptor), compression)) {
    throwIfCanceled(task);
    reader.push(chunk);
  }
  reader.finish();
}

/** No provider verifies what it streams. */
async function* verified(provider: ContentProvider, descriptor: Descriptor): AsyncGenerator<Uint8Array> {
  const hasher = new Hasher();
  for await (const chunk of provider.stream(descriptor)) {
    hasher.update(chunk);
    // A chunk is good until the next one, and the decompressor reads ahead.
    yield Buffer.from(chunk);
  }
  if (hasher.digest() !== descriptor.digest)
    throw new TsbuildError('TSB_DIGEST', `Cannot look into layer ${descriptor.digest}: its content has another digest`);
}

/** @param lose takes what was covered or deleted, and gives how many files that were */
function addEntry(
  tree: LayerTree,
  counts: Counts,
  layer: number,
  entry: TarEntry,
  lose: (losses: readonly Loss[]) => number,
): void {
  const parts = partsOf(toText(entry.path));
  const name = parts.at(-1) ?? '';
  const parent = parts.slice(0, -1).join('/');
  if (name === '.wh..wh..opq') counts.deleted += lose(tree.empty(parent, layer));
  else if (name.startsWith('.wh..wh.')) return;
  else if (name.startsWith('.wh.')) {
    const gone = name.slice(4);
    // A mark that names nothing, or no name, does not mean the directory that it is in.
    if (!['', '.', '..'].includes(gone)) counts.deleted += lose(tree.remove(`${parent}/${gone}`, layer));
  } else if (entry.type === 'directory') {
    counts.directories++;
    counts.overwritten += lose(tree.put(parts.join('/'), undefined, layer));
  } else {
    counts.files++;
    counts.contentSize += entry.size;
    counts.overwritten += lose(tree.put(parts.join('/'), entry.size, layer));
    if (entry.size === 0) return;
    counts.sizes.set(`/${parts.join('/')}`, entry.size);
    counts.below.add(parts.slice(0, -1), entry.size);
  }
}

function largest(sizes: ReadonlyMap<string, number>): readonly SizedPath[] {
  return [...sizes]
    .map(([path, size]) => ({ path, size }))
    .sort(bySize)
    .slice(0, TOP);
}
