import { parseReference } from '../../image/index.ts';
import { TsbuildError } from '../../util/index.ts';

/** What `# syntax=` or `BUILDKIT_SYNTAX` asks for. */
export interface SyntaxRequest {
  /** The image, as written. */
  readonly source: string;
  /** The whole value: the image, and what else a frontend may read there. */
  readonly cmdline: string;
}

/** Docker's own frontends, whatever their tag: what they do is built in. */
const DOCKERS = /^(?:dockerfile\.v0|(?:(?:index\.)?docker\.io\/)?docker\/dockerfile(?:-upstream)?(?:[:@].*)?)$/;
/** The same at another registry: a mirror, most likely. */
const MIRRORED = /\/docker\/dockerfile(?:-upstream)?(?:[:@].*)?$/;

/** The image that a value of `# syntax=` names; undefined for an empty one. */
export function parseSyntax(value: string): SyntaxRequest | undefined {
  const cmdline = value.trim();
  const [source = ''] = cmdline.split(' ', 1);
  return source === '' ? undefined : { source, cmdline };
}

/** Who reads a file that names its frontend: `built-in` for Docker's own, `mirror` for an image that is named like it. */
export function kindOfFrontend({ source }: SyntaxRequest): 'built-in' | 'mirror' | 'image' {
  if (DOCKERS.test(source)) return 'built-in';
  return MIRRORED.test(source) ? 'mirror' : 'image';
}

/** @throws TsbuildError `TSB_DOCKERFILE` for what is no name of an image */
export function checkFrontendName(source: string): void {
  try {
    parseReference(source);
  } catch (cause) {
    throw new TsbuildError(
      'TSB_DOCKERFILE',
      `Cannot use frontend ${JSON.stringify(source)}: it is no name of an image`,
      {
        hint: 'write # syntax=IMAGE[:TAG], or leave the line out for a Dockerfile',
        cause,
      },
    );
  }
}
