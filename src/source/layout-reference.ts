import { type Digest, parseDigest, sanitizeLine, TsbuildError } from '../util/index.ts';

/** What references to images in OCI layouts begin with. */
export const OCI_LAYOUT = 'oci-layout://';

/** Splits `oci-layout://path[:tag][@digest]`. A colon before the last slash belongs to the path. */
export function parseLayoutReference(ref: string): {
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
} {
  const fail = (): TsbuildError =>
    new TsbuildError(
      'TSB_USAGE',
      `Cannot use ${JSON.stringify(sanitizeLine(ref, 300))}: expected "oci-layout://path[:tag][@digest]"`,
    );
  const match = /^oci-layout:\/\/(.+?)(?::(\w[\w.-]{0,127}))?(?:@(sha256:[^/@]*))?$/s.exec(ref);
  if (match?.[1] === undefined || match[1].includes('\0')) throw fail();
  return {
    path: match[1],
    ...(match[2] === undefined ? {} : { tag: match[2] }),
    ...(match[3] === undefined ? {} : { digest: parseDigest(match[3]) }),
  };
}
