import type { TsbuildError } from '../util/index.ts';

/**
 * All of a stream, such as standard input.
 * @param maxBytes of it; what has more is not read to its end
 * @param tooMuch the error for it
 */
export async function readUpTo(
  data: AsyncIterable<Uint8Array>,
  maxBytes: number,
  tooMuch: () => TsbuildError,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of data) {
    size += chunk.length;
    if (size > maxBytes) throw tooMuch();
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks);
}
