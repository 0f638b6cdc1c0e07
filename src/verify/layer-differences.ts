import type { TarEntry } from '../layer/index.ts';
import { type ByteString, toText } from '../tree/index.ts';
import type { Digest } from '../util/index.ts';
import type { Difference, FieldDifference } from './difference.ts';
import { fileDifferences } from './file-differences.ts';
import { readLayerEntries, type SeenEntry } from './layer-entries.ts';

/** A layer of both images. */
export interface LayerPair {
  /** From 1. */
  readonly layer: number;
  readonly createdBy?: string;
  /** Digests and files of the blobs. */
  readonly image: { readonly digest: Digest; readonly file: string };
  readonly rebuilt: { readonly digest: Digest; readonly file: string };
}

/**
 * What differs between two layers, entry by entry.
 * @param temporary an existing directory for files that are compared
 * @throws TsbuildError `TSB_ARCHIVE`
 */
export async function layerDifferences(
  { layer, createdBy, image, rebuilt }: LayerPair,
  temporary: string,
  signal: AbortSignal,
): Promise<readonly Difference[]> {
  if (image.digest === rebuilt.digest) return [];
  const where = { layer, ...(createdBy === undefined ? {} : { createdBy }) };
  const [a, b] = [await readLayerEntries(image.file, signal), await readLayerEntries(rebuilt.file, signal)];
  if (a.diffId === b.diffId)
    return [{ kind: 'layer', ...where, what: 'compression', image: image.digest, rebuilt: rebuilt.digest }];
  const changed: {
    readonly path: ByteString;
    readonly fields: readonly FieldDifference[];
    readonly content: boolean;
  }[] = [];
  const found: Difference[] = [];
  for (const path of [...new Set([...a.entries.keys(), ...b.entries.keys()])].toSorted()) {
    const [one, other] = [a.entries.get(path), b.entries.get(path)];
    if (one && other) {
      const fields = fieldDifferences(one, other);
      const content = one.content !== other.content && one.entry.type === 'file' && other.entry.type === 'file';
      if (fields.length > 0 || content) changed.push({ path, fields, content });
    } else found.push({ kind: 'entry', ...where, path: shown(path), what: one ? 'absent' : 'added', fields: [] });
  }
  const paths = changed.filter(({ content }) => content).map(({ path }) => path);
  const contents = await fileDifferences({ image: image.file, rebuilt: rebuilt.file }, paths, temporary, signal);
  for (const { path, fields, content } of changed) {
    const where2 = contents.get(path);
    const all = content && !where2 ? [...fields, contentField(a.entries.get(path), b.entries.get(path))] : fields;
    found.push({
      kind: 'entry',
      ...where,
      path: shown(path),
      what: 'changed',
      fields: all,
      ...(where2 === undefined ? {} : { content: where2 }),
    });
  }
  if (found.length === 0) return [{ kind: 'layer', ...where, what: 'order', image: a.diffId, rebuilt: b.diffId }];
  return found;
}

/** Of a file whose bytes were too many to be looked at. */
function contentField(image: SeenEntry | undefined, rebuilt: SeenEntry | undefined): FieldDifference {
  return { field: 'content', image: image?.content ?? '', rebuilt: rebuilt?.content ?? '' };
}

/** The fields of an entry as they are shown, in the order of what people look at first. */
const FIELDS: readonly (readonly [string, (entry: TarEntry) => string])[] = [
  ['type', ({ type }) => type],
  ['size', ({ size }) => String(size)],
  ['mode', ({ mode }) => mode.toString(8).padStart(4, '0')],
  ['owner', ({ uid, gid }) => `${uid}:${gid}`],
  ['mtime', ({ mtime }) => timeText(mtime)],
  ['target', ({ linkPath }) => toText(linkPath)],
  ['device', ({ devMajor, devMinor }) => `${devMajor}:${devMinor}`],
  ['xattrs', xattrsText],
];

function fieldDifferences(image: SeenEntry, rebuilt: SeenEntry): readonly FieldDifference[] {
  return FIELDS.flatMap(([field, text]) => {
    const [a, b] = [text(image.entry), text(rebuilt.entry)];
    return a === b ? [] : [{ field, image: a, rebuilt: b }];
  });
}

/** RFC 3339, with a fraction where there is one. Times that JavaScript has no date for as seconds. */
function timeText({ sec, nsec }: TarEntry['mtime']): string {
  const date = new Date(sec * 1000);
  const text = Number.isNaN(date.getTime()) ? String(sec) : date.toISOString().replace('.000Z', '');
  return nsec === 0 ? `${text}Z` : `${text}.${String(nsec).padStart(9, '0')}Z`;
}

function xattrsText({ xattrs }: TarEntry): string {
  return [...(xattrs ?? [])]
    .map(([name, value]) => `${toText(name)}=${value.toString('hex')}`)
    .toSorted()
    .join(' ');
}

function shown(path: ByteString): string {
  return `/${toText(path)}`;
}
