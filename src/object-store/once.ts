/** Bytes that are there already as what is read of an object: one chunk, or none where there are none. */
export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  await Promise.resolve();
  if (bytes.length > 0) yield bytes;
}
