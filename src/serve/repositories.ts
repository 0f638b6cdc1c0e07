import { statSync } from 'node:fs';
import {
  type Descriptor,
  documentMediaType,
  formatReference,
  MAX_MANIFEST_BYTES,
  parseReference,
  type Reference,
  walkSync,
} from '../image/index.ts';
import type { Store, StoredImage } from '../store/index.ts';
import type { Digest } from '../util/index.ts';
import { EarlierImages } from './earlier-images.ts';

/** Images that were looked through, by the digest of what their name stands for. */
const MAX_REMEMBERED = 500;

/** An image of the store with its name in parts. */
interface NamedImage {
  readonly image: StoredImage;
  readonly reference: Reference;
}

/** A manifest or index with its bytes. */
export interface Document {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/**
 * The images of a store by the repositories of a registry. A repository's name is read as docker reads the name of an image, so that what
 * is pushed as `web` is what `FROM web` means, and the other way round: `web` is `docker.io/library/web`, `ghcr.io/team/app` is that.
 * Names that were given for the registry's own address (`127.0.0.1:5000/web`) are served without it. A repository holds what its
 * names lead to, or led to when somebody asked, and nothing else of the store: knowing a digest is not enough to be given a layer of
 * some build.
 */
export class Repositories {
  readonly #store: Store;
  readonly #own: string;
  #images: { readonly stamp: string; readonly list: readonly NamedImage[] } | undefined;
  readonly #contents = new Map<Digest, ReadonlySet<Digest>>();
  readonly #earlier: EarlierImages;

  /** @param own host and port that clients know the registry by */
  constructor(store: Store, own: string) {
    this.#store = store;
    this.#own = own;
    this.#earlier = new EarlierImages(store);
  }

  /** The names of all repositories that have an image, sorted. */
  names(): readonly string[] {
    const names = new Set(this.#list().flatMap(({ reference }) => this.#repositoryOf(reference) ?? []));
    return [...names].toSorted();
  }

  /** The tags of a repository, sorted; undefined where it has no image at all. */
  tags(repository: string): readonly string[] | undefined {
    const images = this.images(repository);
    if (images.length === 0) return undefined;
    return [...new Set(images.flatMap(({ tag }) => tag ?? []))].toSorted();
  }

  /** The images of a repository, those that a push would replace first. */
  images(repository: string): readonly (StoredImage & { readonly tag?: string })[] {
    const places = this.#places(repository);
    return this.#list()
      .flatMap(({ image, reference: { host, path, tag } }) => {
        const place = places.findIndex((one) => one.host === host && one.path === path);
        return place < 0 ? [] : [{ place, image: { ...image, ...(tag === undefined ? {} : { tag }) } }];
      })
      .toSorted((a, b) => a.place - b.place)
      .map(({ image }) => image);
  }

  /** What a tag or a digest stands for in a repository. */
  document(repository: string, reference: { tag: string } | { digest: Digest }): Document | undefined {
    if ('tag' in reference) {
      const image = this.images(repository).find(({ tag }) => tag === reference.tag);
      const document = image && this.#read(image.descriptor.digest);
      if (document) this.#earlier.note(this.#keyOf(repository), reference.tag, document.descriptor);
      return document;
    }
    return this.has(repository, reference.digest) ? this.#read(reference.digest) : undefined;
  }

  /**
   * Whether a name of a repository leads to a blob or manifest, or led there when it was asked for, as long as there is that name.
   * It may still be missing in the store.
   */
  has(repository: string, digest: Digest): boolean {
    const images = this.images(repository);
    if (images.some(({ descriptor }) => this.#contentsOf(descriptor).has(digest))) return true;
    const tags = new Set(images.map(({ tag }) => tag));
    return this.#earlier
      .of(this.#keyOf(repository))
      .some(({ tag, descriptor }) => tags.has(tag) && this.#contentsOf(descriptor).has(digest));
  }

  /**
   * Names a manifest or index in a repository. Its blobs must be held.
   * @param parts what it leads to by itself: names that were needed only until it came go
   */
  put(
    repository: string,
    reference: { tag: string } | { digest: Digest },
    descriptor: Descriptor,
    parts: readonly Descriptor[],
  ): void {
    const [place] = this.#places(repository);
    if (!place) return;
    this.#store.images.put(formatReference({ ...place, ...reference }), descriptor);
    for (const { digest } of parts) this.#store.images.remove(formatReference({ ...place, digest }));
  }

  /**
   * Takes a tag away with all that it ever stood for, or all names that stand for a digest.
   * @returns whether there was something to take away
   */
  remove(repository: string, reference: { tag: string } | { digest: Digest }): boolean {
    const gone = this.images(repository).filter(({ tag, descriptor }) =>
      'tag' in reference ? tag === reference.tag : descriptor.digest === reference.digest,
    );
    for (const { name } of gone) this.#store.images.remove(name);
    const forgotten = this.#earlier.forget(this.#keyOf(repository), reference);
    return gone.length > 0 || forgotten;
  }

  /** One for all the ways to write a repository's name. */
  #keyOf(repository: string): string {
    const { host, path } = parseReference(repository);
    return `${host}/${path}`;
  }

  /** Where images of a repository may be named, the place of new ones first. */
  #places(repository: string): readonly Pick<Reference, 'host' | 'path'>[] {
    const { host, path } = parseReference(repository);
    return [
      { host, path },
      { host: this.#own, path: repository },
    ];
  }

  /** What a name of the store is called here; undefined where a repository cannot be called so. */
  #repositoryOf({ host, path }: Reference): string | undefined {
    if (host === this.#own) return path;
    if (host === 'docker.io') return path.replace(/^library\/(?=[^/]+$)/, '');
    return host.includes(':') || host.startsWith('[') ? undefined : `${host}/${path}`;
  }

  /** All names, read again when one was added or removed: both are renames in the directory. */
  #list(): readonly NamedImage[] {
    const { mtimeNs, ctimeNs } = statSync(this.#store.layout.images, { bigint: true });
    const stamp = `${mtimeNs} ${ctimeNs}`;
    if (this.#images?.stamp !== stamp) {
      const list = this.#store.images.list().map((image) => ({ image, reference: parseReference(image.name) }));
      this.#images = { stamp, list };
    }
    return this.#images.list;
  }

  #read(digest: Digest): Document | undefined {
    const bytes = this.#store.blobs.peek(digest, MAX_MANIFEST_BYTES);
    if (bytes === undefined) return undefined;
    try {
      const mediaType = documentMediaType(bytes, undefined, `manifest ${digest}`);
      return { descriptor: { mediaType, digest, size: bytes.length }, bytes };
    } catch {
      // A layer or config, whose digest is none of a manifest.
      return undefined;
    }
  }

  /** Everything that a manifest or index leads to, itself included. */
  #contentsOf(root: Descriptor): ReadonlySet<Digest> {
    const known = this.#contents.get(root.digest);
    if (known) return known;
    const found = new Set<Digest>([root.digest]);
    let whole = true;
    const provider = { read: ({ digest, size }: Descriptor) => this.#store.blobs.peek(digest, size) };
    for (const node of walkSync(provider, root, { what: `image ${root.digest}` })) {
      found.add(node.descriptor.digest);
      if (node.kind === 'image' || node.kind === 'artifact')
        for (const { digest } of [node.manifest.config, ...node.manifest.layers]) found.add(digest);
      else if (node.kind === 'absent' || node.kind === 'malformed') {
        // What is missing now may come: an index is pulled for one platform, and for another one later.
        whole = false;
        for (const { digest } of node.manifest ? [node.manifest.config, ...node.manifest.layers] : [])
          found.add(digest);
      }
    }
    if (whole) {
      const [oldest] = this.#contents.size >= MAX_REMEMBERED ? this.#contents.keys() : [];
      if (oldest !== undefined) this.#contents.delete(oldest);
      this.#contents.set(root.digest, found);
    }
    return found;
  }
}
