import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { extract, type Header } from 'tar-stream';

/** One file of an image, without times. */
export interface TreeEntry {
  readonly type: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** The content of a file (its hash when it is larger than 4 KiB), target of a link, numbers of a device. */
  readonly content: string;
  /** The attribute `security.capability`, in hexadecimal. */
  readonly capability?: string;
}

/** Files by absolute path. */
export type Tree = Readonly<Record<string, TreeEntry>>;

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** An image as an archive holds it, read without any code of tsbuild. */
export interface ArchivedImage {
  readonly index: { readonly manifests: readonly Descriptor[] };
  readonly digest: string;
  readonly manifest: { readonly config: Descriptor; readonly layers: readonly Descriptor[] };
  readonly config: {
    readonly config?: Readonly<Record<string, unknown>>;
    readonly rootfs: { readonly diff_ids: readonly string[] };
    readonly history?: readonly Readonly<Record<string, unknown>>[];
    readonly created?: string;
  };
  /** The names of each layer's members, in order. */
  readonly layers: readonly (readonly string[])[];
  /** What each layer says of its members but for content and times, in order: type, mode, owner, name, target and capabilities. */
  readonly listings: readonly (readonly string[])[];
  readonly tree: Tree;
}

interface Member {
  readonly header: Header;
  readonly body: Buffer;
}

/** The members of a tar, in order. */
export async function readTar(bytes: Uint8Array): Promise<readonly Member[]> {
  const members: Member[] = [];
  const reader = extract();
  reader.on('entry', (header, stream, next) => {
    const chunks: Buffer[] = [];
    stream.on('data', (chunk) => chunks.push(chunk as Buffer));
    stream.on('end', () => {
      members.push({ header, body: Buffer.concat(chunks) });
      next();
    });
  });
  const done = new Promise<void>((resolve, reject) => {
    reader.on('finish', resolve);
    reader.on('error', reject);
  });
  reader.end(bytes);
  await done;
  return members;
}

/** A layer as it was read, and the diff id that it has. */
interface ReadLayer {
  readonly diffId: string;
  readonly members: readonly Member[];
}

/**
 * Reads the one image of an OCI archive and checks every digest, size and diff id on the way.
 * @param known layers of images that were read before, by digest
 */
export async function readOciArchive(
  archive: string | Uint8Array,
  known: Map<string, ReadLayer> = new Map(),
): Promise<ArchivedImage> {
  const members = await readTar(typeof archive === 'string' ? readFileSync(archive) : archive);
  const files = new Map(members.map(({ header, body }) => [header.name, body]));
  const read = (name: string): Buffer => {
    const found = files.get(name);
    if (!found) throw new Error(`The archive has no ${name}`);
    return found;
  };
  const blob = ({ digest, size }: { digest: string; size: number }): Buffer => {
    const bytes = read(`blobs/${digest.replace(':', '/')}`);
    if (sha256(bytes) !== digest || bytes.length !== size) throw new Error(`Blob ${digest} is not what its name says`);
    return bytes;
  };
  const json = (bytes: Buffer): unknown => JSON.parse(bytes.toString('utf8'));
  if ((json(read('oci-layout')) as { imageLayoutVersion: string }).imageLayoutVersion !== '1.0.0')
    throw new Error('The archive is no OCI layout');
  const index = json(read('index.json')) as ArchivedImage['index'];
  const [root] = index.manifests;
  if (!root) throw new Error('The archive has no image');
  const manifest = json(blob(root)) as ArchivedImage['manifest'];
  const config = json(blob(manifest.config)) as ArchivedImage['config'];
  const layers: string[][] = [];
  const listings: string[][] = [];
  const tree = new Map<string, TreeEntry>();
  for (const [at, descriptor] of manifest.layers.entries()) {
    const { diffId, members: contents } =
      known.get(descriptor.digest) ?? (await readLayer(blob(descriptor), descriptor));
    known.set(descriptor.digest, { diffId, members: contents });
    if (diffId !== config.rootfs.diff_ids[at]) throw new Error(`Layer ${at} has not the diff id of the config`);
    layers.push(contents.map(({ header }) => header.name));
    listings.push(contents.map(({ header }) => lineOf(header)));
    applyMembers(tree, contents);
  }
  return {
    index,
    digest: root.digest,
    manifest,
    config,
    layers,
    listings,
    tree: Object.fromEntries([...tree].toSorted(([a], [b]) => (a < b ? -1 : 1))),
  };
}

async function readLayer(bytes: Buffer, { mediaType }: Descriptor): Promise<ReadLayer> {
  const tar = decompress(bytes, mediaType);
  return { diffId: sha256(tar), members: await readTar(tar) };
}

/** The files of a tar that is a root file system. */
export async function readTreeTar(bytes: Uint8Array): Promise<Tree> {
  const tree = new Map<string, TreeEntry>();
  applyMembers(tree, await readTar(bytes));
  return Object.fromEntries([...tree].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Puts a layer on top of a tree by the rules of the image specification. */
function applyMembers(tree: Map<string, TreeEntry>, members: readonly Member[]): void {
  const removeBelow = (path: string): void => {
    for (const known of tree.keys()) if (known.startsWith(`${path}/`)) tree.delete(known);
  };
  const lower = new Set(tree.keys());
  for (const { header, body } of members) {
    const path = `/${header.name.replace(/^\.?\/|\/$/g, '').replace(/^\.$/, '')}`;
    const [, parent = '', name = ''] = /^(.*)\/([^/]*)$/.exec(path) ?? [];
    if (name === '.wh..wh..opq') {
      for (const known of lower) if (known.startsWith(`${parent}/`)) tree.delete(known);
    } else if (name.startsWith('.wh.')) {
      const gone = `${parent}/${name.slice(4)}`;
      tree.delete(gone);
      removeBelow(gone);
    } else if (header.type === 'link') {
      const target = tree.get(`/${(header.linkname ?? '').replace(/^\.?\//, '')}`);
      if (!target) throw new Error(`Hard link ${path} has no target`);
      tree.set(path, target);
    } else {
      const type = header.type ?? 'file';
      if (type !== 'directory') removeBelow(path);
      tree.set(path, {
        type,
        mode: (header.mode ?? 0) & 0o7777,
        uid: header.uid ?? 0,
        gid: header.gid ?? 0,
        content: contentOf(header, body),
        ...capabilityOf(header),
      });
    }
  }
}

function contentOf(header: Header, body: Buffer): string {
  switch (header.type) {
    case 'file':
    case 'contiguous-file':
      return body.length > 4096 ? sha256(body) : body.toString('latin1');
    case 'symlink':
      return header.linkname ?? '';
    case 'character-device':
    case 'block-device':
      return `${header.devmajor}:${header.devminor}`;
    default:
      return '';
  }
}

function lineOf(header: Header): string {
  const { type, mode, uid, gid, name, linkname, devmajor, devminor } = header;
  const device = type?.endsWith('-device') ? ` ${devmajor}:${devminor}` : '';
  const { capability } = capabilityOf(header);
  return `${type} ${mode.toString(8)} ${uid}:${gid} ${name}${linkname ? ` -> ${linkname}` : ''}${device}${capability ? ` ${capability}` : ''}`;
}

function capabilityOf({ pax }: Header): { readonly capability?: string } {
  const value = (pax as Readonly<Record<string, string>> | null | undefined)?.['SCHILY.xattr.security.capability'];
  return value === undefined ? {} : { capability: Buffer.from(value).toString('hex') };
}

function decompress(bytes: Buffer, mediaType: string): Buffer {
  if (mediaType.endsWith('gzip')) return gunzipSync(bytes);
  return mediaType.endsWith('zstd') ? zstdDecompressSync(bytes) : bytes;
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
