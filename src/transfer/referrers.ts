import type { Descriptor } from '../image/index.ts';
import { type Digest, TsbuildError } from '../util/index.ts';
import { type ImagePlan, planImage, type PlanSource } from './plan.ts';

/** Signatures and the like of one image; more are an attack. */
const MAX_REFERRERS = 1000;
/** A signature of an attestation of an image is two; nobody needs more than this. */
const MAX_DEPTH = 5;

/** A source that can tell what refers to a manifest. */
export interface ReferrerSource extends PlanSource {
  readonly referrers: (digest: Digest) => Promise<readonly Descriptor[]>;
}

/** Something that refers to an image or one of its parts, with the entry that lists have of it. */
export interface ReferrerPlan extends ImagePlan {
  readonly entry: Descriptor;
}

/**
 * What refers to the manifests of an image, and what refers to that: signatures, attestations, lists of materials.
 * @throws TsbuildError as `planImage`; `TSB_IMAGE` when there is no end to it
 */
export async function planReferrers(source: ReferrerSource, image: ImagePlan): Promise<readonly ReferrerPlan[]> {
  const found: ReferrerPlan[] = [];
  const seen = new Set<Digest>(image.documents.map(({ descriptor }) => descriptor.digest));
  let subjects: readonly Digest[] = [...seen];
  for (let depth = 1; subjects.length > 0; depth++) {
    const next: Digest[] = [];
    for (const subject of subjects) {
      for (const entry of await source.referrers(subject)) {
        if (seen.has(entry.digest)) continue;
        if (depth > MAX_DEPTH || found.length >= MAX_REFERRERS)
          throw new TsbuildError('TSB_IMAGE', `Cannot copy ${source.what}: too much refers to it`, {
            hint: 'copy the image alone: --no-referrers',
          });
        const plan = await planImage(
          { ...source, root: entry, what: `referrer ${entry.digest} of ${source.what}` },
          { what: 'all' },
        );
        for (const { descriptor } of plan.documents) seen.add(descriptor.digest);
        next.push(plan.root.digest);
        found.push({ ...plan, entry });
      }
    }
    subjects = next;
  }
  return found;
}
