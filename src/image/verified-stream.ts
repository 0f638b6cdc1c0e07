import { Hasher, TsbuildError } from '../util/index.ts';
import type { ContentProvider } from './content.ts';
import type { Descriptor } from './descriptor.ts';

/**
 * The bytes of a blob, compared with its descriptor while they pass. The last chunk is handed out once all are known to be right, so that
 * a request whose body this is never completes with wrong bytes.
 * @param what names the image or place in messages
 * @throws TsbuildError `TSB_DIGEST` for other bytes, fewer or more; and as `ContentProvider.stream`
 */
export async function* verifiedStream(
  provider: Pick<ContentProvider, 'stream'>,
  descriptor: Descriptor,
  what: string,
): AsyncGenerator<Uint8Array> {
  const { digest, size } = descriptor;
  const hasher = new Hasher();
  let isRight = false;
  const fail = (why: string): TsbuildError =>
    new TsbuildError('TSB_DIGEST', `Cannot use blob ${digest} of ${what}: ${why}`);
  const compare = (): void => {
    if (hasher.digest() !== digest) throw fail('its content has another digest');
    isRight = true;
  };
  for await (const chunk of provider.stream(descriptor)) {
    if (chunk.length === 0) continue;
    if (hasher.size + chunk.length > size) throw fail(`it is longer than the ${size} bytes that its descriptor says`);
    hasher.update(chunk);
    if (hasher.size === size) compare();
    yield chunk;
  }
  if (hasher.size !== size) throw fail(`it has ${hasher.size} bytes, its descriptor says ${size}`);
  if (!isRight) compare();
}
