/**
 * All of a stream in one piece. Chunks are copied: who makes them may use their memory again.
 * @param limit most bytes, and the error for more; what has more is not read to its end
 */
export async function collect(
  data: AsyncIterable<Uint8Array>,
  limit?: { readonly maxBytes: number; readonly tooMuch: () => Error },
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of data) {
    size += chunk.length;
    if (limit !== undefined && size > limit.maxBytes) throw limit.tooMuch();
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks, size);
}
