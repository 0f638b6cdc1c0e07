import {
  checkFrontendName,
  detectSyntax,
  kindOfFrontend,
  parseSyntax,
  type SyntaxRequest,
} from '../../frontend/index.ts';
import { type SourceFile, TsbuildError } from '../../util/index.ts';
import type { BuildRequest } from '../request.ts';

/** What `--allow` calls it. */
const ENTITLEMENT = 'frontend';

/**
 * The frontend image that a build asks for with `BUILDKIT_SYNTAX`, or in its file; undefined for Docker's own, which is built in.
 * @throws TsbuildError `TSB_DOCKERFILE` when running it was not allowed, or it has no name that an image can have
 */
export function wantedFrontend(
  { buildArgs, entitlements }: Pick<BuildRequest, 'buildArgs' | 'entitlements'>,
  file: SourceFile,
): SyntaxRequest | undefined {
  const given = buildArgs.get('BUILDKIT_SYNTAX');
  const directive = given === undefined ? detectSyntax(file) : undefined;
  const wanted = parseSyntax(given ?? directive?.value ?? '');
  if (wanted === undefined) return undefined;
  const kind = kindOfFrontend(wanted);
  if (kind === 'built-in') return undefined;
  if (entitlements.has(ENTITLEMENT)) {
    checkFrontendName(wanted.source);
    return wanted;
  }
  // Most likely what is built in. There is advice that says so.
  if (kind === 'mirror') return undefined;
  throw new TsbuildError(
    'TSB_DOCKERFILE',
    `Cannot build with the frontend image ${JSON.stringify(wanted.source)}: images may not run as frontends by themselves`,
    {
      ranges: directive?.ranges ?? [],
      hint: `if it is to be trusted with the context and the secrets of this build, build with --allow ${ENTITLEMENT}`,
    },
  );
}
