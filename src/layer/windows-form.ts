import type { ByteString } from '../tree/index.ts';
import type { TarEntry } from './entry.ts';
import { memberPath } from './byte-string.ts';
import type { TarHandler } from './tar-reader.ts';
import type { TarEntryInput } from './tar-writer.ts';

/*
 * Layers of Windows images keep the file tree below "Files", beside "Hives" with changes of the registry; Windows reads what
 * tar has no fields for from PAX records (hcsshim, go-winio's backuptar). BuildKit on Linux writes them with the same
 * owner and rights for all files, and without Hives.
 */

const FILES = 'Files/';

/** Values of `MSWINDOWS.fileattr`: FILE_ATTRIBUTE_DIRECTORY and FILE_ATTRIBUTE_ARCHIVE. */
const ATTRIBUTES = { directory: '16', file: '32' } as const;

/** The file type's bits, which Windows layers have in their modes. */
const TYPE_BITS = { directory: 0o40000, file: 0o100000 } as const;

/** Values of `MSWINDOWS.rawsd`: self-relative security descriptors (MS-DTYP 2.4.6) in base64. */
const DESCRIPTORS = {
  // O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)
  directory:
    'AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgCoAAcAAAAAAxgA/wEfAAECAAAAAAAFIAAAACACAAAAAxQA/wEfAAEBAAAAAAAFEgAAAAAAGAD/AR8AAQIAAAAAAAUgAAAAIAIAAAALFAAAAAAQAQEAAAAAAAMAAAAAAAMYAKkAEgABAgAAAAAABSAAAAAhAgAAAAIYAAQAAAABAgAAAAAABSAAAAAhAgAAAAIYAAIAAAABAgAAAAAABSAAAAAhAgAA',
  // O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)
  file: 'AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgBMAAMAAAAAABgA/wEfAAECAAAAAAAFIAAAACACAAAAABQA/wEfAAEBAAAAAAAFEgAAAAAAGACpABIAAQIAAAAAAAUgAAAAIQIAAA==',
} as const;

/** The entries that a Windows layer begins with; without rights of their own, as BuildKit's, but always of the same time. */
export const WINDOWS_PREFACE: readonly TarEntryInput[] = ['Hives', 'Files'].map((path) =>
  withRecords<TarEntryInput>({ path, type: 'directory', mode: 0 }),
);

/** An entry as it stands in a layer of a Windows image. Whiteouts are files there too. */
export function toWindowsEntry<E extends TarEntryInput>(entry: E): E {
  const { type, linkPath = '' } = entry;
  const placed = { ...entry, path: `${FILES}${entry.path}`, ...linkOf(type, linkPath) };
  const made = withRecords(placed);
  if (type !== 'directory' && type !== 'file') return made;
  return { ...made, pax: new Map([...(made.pax ?? []), ['MSWINDOWS.rawsd', DESCRIPTORS[type]]]) };
}

/**
 * Hard links name a member of the archive. Targets of symlinks are for Windows to follow and stay; but readers take "Files/" off
 * them, since BuildKit puts it before them.
 */
function linkOf(type: TarEntryInput['type'], linkPath: ByteString): { readonly linkPath?: ByteString } {
  if (type === 'hardlink') return { linkPath: `${FILES}${linkPath}` };
  return type === 'symlink' && linkPath.startsWith(FILES) ? { linkPath: `./${linkPath}` } : {};
}

function withRecords<E extends TarEntryInput>(entry: E): E {
  const { type, mode = 0 } = entry;
  const records = new Map<ByteString, ByteString>([['LIBARCHIVE.creationtime', `${entry.mtime?.sec ?? 0}.0`]]);
  if (type !== 'directory' && type !== 'file') return { ...entry, pax: records };
  records.set('MSWINDOWS.fileattr', ATTRIBUTES[type]);
  return { ...entry, mode: mode | TYPE_BITS[type], pax: records };
}

/** Passes the file tree of a Windows layer on as if it were the whole layer; Hives and the like are left out. */
export class WindowsFiles implements TarHandler {
  readonly #inner: TarHandler;
  #entry: TarEntry | undefined;

  constructor(inner: TarHandler) {
    this.#inner = inner;
  }

  entry(entry: TarEntry): void {
    const path = belowFiles(memberPath(entry.path));
    this.#entry = undefined;
    // The root's mode is of no use: Windows has none, and writes 0.
    if (path === undefined || path === '') return;
    const link = entry.type === 'hardlink' ? memberPath(entry.linkPath) : entry.linkPath;
    this.#entry = { ...entry, path, linkPath: belowFiles(link) ?? entry.linkPath };
    this.#inner.entry(this.#entry);
  }

  data(chunk: Buffer, offset: number): void {
    if (this.#entry) this.#inner.data(chunk, offset);
  }

  end(): void {
    if (this.#entry) this.#inner.end(this.#entry);
  }
}

function belowFiles(path: ByteString): ByteString | undefined {
  return path.startsWith(FILES) ? path.slice(FILES.length) : undefined;
}
