/** What a stream is compressed with, as its first bytes tell. */
export type ArchiveCompression = 'none' | 'gzip' | 'zstd' | 'bzip2' | 'xz';

/**
 * The bytes that compressed data starts with, in one place: layers, imported archives and `ADD` must agree on what is
 * unpacked, or a file would be an archive to one of them and plain bytes to another. They lie below both the frontend, which
 * decides whether a remote context is an archive and must not load the code for layers, and the decoders.
 */
export const COMPRESSION_MAGICS: Readonly<Record<Exclude<ArchiveCompression, 'none'>, readonly number[]>> = {
  // RFC 1952 section 2.3.1; the third byte is the method, deflate being the only one there is.
  gzip: [0x1f, 0x8b, 0x08],
  // RFC 8878 section 3.1.1, little-endian 0xFD2FB528.
  zstd: [0x28, 0xb5, 0x2f, 0xfd],
  // "BZh"; the digit that follows is the block size.
  bzip2: [0x42, 0x5a, 0x68],
  // xz-file-format section 2.1.1.1.
  xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00],
};

/** How many bytes `sniffCompression` wants to see: the length of the longest magic. */
export const SNIFF_BYTES = 6;

/** Recognises compressed data by its magic number; anything else counts as not compressed. */
export function sniffCompression(head: Uint8Array): ArchiveCompression {
  for (const [kind, magic] of Object.entries(COMPRESSION_MAGICS))
    if (magic.every((byte, index) => head[index] === byte)) return kind as ArchiveCompression;
  return 'none';
}
