import { formatReference } from '../image/index.ts';
import type { Refusals } from '../pins/index.ts';
import type { Registry } from '../registry/index.ts';

/** The registry client of `--offline`: it opens no connection, and says what was wanted of it. */
export function offlineRegistry(offline: Refusals): Registry {
  const refuse = async (what: string): Promise<never> => {
    throw offline.refuse(what);
  };
  return {
    resolve: (_task, reference) => refuse(`image ${formatReference(reference)}`),
    manifest: (_task, reference) => refuse(`image ${formatReference(reference)}`),
    // eslint-disable-next-line require-yield
    async *blob(_task, { host, path }, { digest }) {
      await refuse(`layer ${digest} of ${host}/${path}`);
    },
    blobSize: (_task, { host, path }, digest) => refuse(`blob ${digest} of ${host}/${path}`),
    hasBlob: (_task, { host, path }) => refuse(`repository ${host}/${path}`),
    hasManifest: (_task, { host, path }) => refuse(`repository ${host}/${path}`),
    pushBlob: (_task, { host, path }) => refuse(`repository ${host}/${path}`),
    mountBlob: (_task, { host, path }) => refuse(`repository ${host}/${path}`),
    pushManifest: (_task, reference) => refuse(`repository ${formatReference(reference)}`),
    referrers: (_task, { host, path }) => refuse(`repository ${host}/${path}`),
    [Symbol.asyncDispose]: async () => undefined,
  };
}
