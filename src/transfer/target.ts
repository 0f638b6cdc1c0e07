import type { Task } from '../events/index.ts';
import {
  type ContentProvider,
  type Descriptor,
  formatReference,
  IMAGE_NAME_ANNOTATION,
  parseReference,
  REF_NAME_ANNOTATION,
  verifiedStream,
  withDefaultTag,
} from '../image/index.ts';
import type { BlobOutcome, SentImage } from '../registry/index.ts';
import type { ImagePlan } from './plan.ts';
import type { ReferrerPlan } from './referrers.ts';

/** Told of one part of a copy: its name, bytes so far, bytes in all, and whether it is done. */
export type CopyStatus = (id: string, current: number, total?: number, completed?: boolean) => void;

/** What is written to a place. */
export interface Copy {
  readonly image: ImagePlan;
  readonly referrers: readonly ReferrerPlan[];
  /** How messages name the image that is copied. */
  readonly what: string;
  readonly status: CopyStatus;
}

/** Writes an image, and tells what became of its blobs. */
export type Write = (task: Task, copy: Copy) => Promise<SentImage>;

/** A blob with the content that it is in. */
export interface CopyBlob {
  readonly descriptor: Descriptor;
  readonly content: ContentProvider;
}

/** The blobs of an image and of what refers to it, each once. */
export function blobsOf({ image, referrers }: Copy): readonly CopyBlob[] {
  const all = [image, ...referrers].flatMap(({ blobs, content }) =>
    blobs.map((descriptor): [string, CopyBlob] => [descriptor.digest, { descriptor, content }]),
  );
  return [...new Map(all).values()];
}

/** The verified bytes of a blob, with progress. */
export async function* bytesOf(
  { descriptor, content }: CopyBlob,
  { what, status }: Copy,
  task: Task,
): AsyncGenerator<Uint8Array> {
  const { size } = descriptor;
  const id = copying(descriptor);
  let done = 0;
  let told = 0;
  status(id, 0, size);
  for await (const chunk of verifiedStream(content, descriptor, what)) {
    task.signal.throwIfAborted();
    yield chunk;
    done += chunk.length;
    if (done - told < 1 << 20) continue;
    told = done;
    status(id, done, size);
  }
  status(id, size, size, true);
}

/** What a blob on its way is shown as. */
export function copying({ digest }: { readonly digest: string }): string {
  return `copying ${digest}`;
}

/** Counts what becomes of blobs. */
export class Outcomes {
  readonly sent: Record<BlobOutcome, Descriptor[]> = { there: [], mounted: [], sent: [] };

  add(blob: Descriptor, outcome: BlobOutcome): void {
    this.sent[outcome].push(blob);
  }

  addAll(others: SentImage): void {
    const known = new Set(Object.values(this.sent).flatMap((blobs) => blobs.map(({ digest }) => digest)));
    for (const outcome of ['there', 'mounted', 'sent'] as const)
      this.sent[outcome].push(...others[outcome].filter(({ digest }) => !known.has(digest)));
  }
}

/**
 * The entries of a layout's `index.json`: one for each name, one without a name where there is none, and one for each referrer, as ORAS has
 * them.
 * @param names tags, or whole references
 */
export function entriesOf({ image, referrers }: Copy, names: readonly string[]): readonly Descriptor[] {
  const { mediaType, digest, size } = image.root;
  const entry = (annotations?: Readonly<Record<string, string>>): Descriptor => ({
    mediaType,
    digest,
    size,
    ...(annotations === undefined ? {} : { annotations }),
  });
  const named = names.map((name) => {
    // A bare tag is the image-spec's form, a whole reference containerd's, whose last part is the tag.
    if (!/[:/]/.test(name)) return entry({ [REF_NAME_ANNOTATION]: name });
    const reference = withDefaultTag(parseReference(name));
    return entry({
      [IMAGE_NAME_ANNOTATION]: formatReference(reference),
      [REF_NAME_ANNOTATION]: reference.tag ?? 'latest',
    });
  });
  return [...(named.length === 0 ? [entry()] : named), ...referrers.map((one) => nameless(one.entry))];
}

/** Whoever signs an image does not get to name it: what a list says of a referrer may look like a name. */
function nameless({ annotations = {}, ...entry }: Descriptor): Descriptor {
  const { [IMAGE_NAME_ANNOTATION]: _name, [REF_NAME_ANNOTATION]: _tag, ...others } = annotations;
  return Object.keys(others).length === 0 ? entry : { ...entry, annotations: others };
}
