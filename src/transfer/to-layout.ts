import { LayoutDirectory } from '../exporter/index.ts';
import { inParallel } from './in-parallel.ts';
import { blobsOf, bytesOf, entriesOf, Outcomes, type Write } from './target.ts';

/**
 * Copies to an OCI layout in a directory, which is made if need be. Blobs that are there stay; `index.json` names the image when all of it
 * is there.
 * @param names tags or references; none leaves the image without a name
 */
export function toLayout(path: string, names: readonly string[]): Write {
  return async (task, copy) => {
    using layout = LayoutDirectory.open(path);
    const outcomes = new Outcomes();
    await inParallel(task, blobsOf(copy), async (inner, blob) => {
      const { digest, size } = blob.descriptor;
      if (layout.has(digest, size)) return outcomes.add(blob.descriptor, 'there');
      await layout.put(digest, async (write) => {
        for await (const chunk of bytesOf(blob, copy, inner)) write(chunk);
      });
      return outcomes.add(blob.descriptor, 'sent');
    });
    for (const { documents } of [...copy.referrers, copy.image])
      for (const { descriptor, bytes } of documents)
        if (!layout.has(descriptor.digest, descriptor.size))
          await layout.put(descriptor.digest, (write) => write(bytes));
    await layout.commit(entriesOf(copy, names));
    return outcomes.sent;
  };
}
