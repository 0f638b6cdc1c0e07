import type { Usage } from '../../frontend/index.ts';
import { TsbuildError } from '../../util/index.ts';

/**
 * Whether the user has allowed all that the steps of a graph want.
 * @throws TsbuildError `TSB_DOCKERFILE` for the first that was not
 */
export function checkEntitlements(granted: ReadonlySet<string>, { entitlements }: Pick<Usage, 'entitlements'>): void {
  for (const [entitlement, ranges] of entitlements) {
    if (granted.has(entitlement)) continue;
    throw new TsbuildError('TSB_DOCKERFILE', `entitlement ${entitlement} is not allowed`, {
      ranges,
      hint: `if the Dockerfile is to be trusted with it, build with --allow ${entitlement}`,
    });
  }
}
