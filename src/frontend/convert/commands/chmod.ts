import { dockerfileError } from '../../dockerfile/failure.ts';

const SYMBOLIC = /^[ugoa]*(?:[-+=][rwxXstugo]*)+(?:,[ugoa]*(?:[-+=][rwxXstugo]*)+)*$/;

/**
 * Reads `--chmod`: octal digits become the permission bits, a symbolic mode stays text.
 * @throws TsbuildError `TSB_DOCKERFILE`
 */
export function parseChmod(text: string): number | string {
  const wrong = `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`;
  if (/^[0-7]+$/.test(text)) {
    const mode = Number.parseInt(text, 8);
    if (mode > 0o7777) throw dockerfileError(wrong);
    return mode;
  }
  if (SYMBOLIC.test(text)) return text;
  throw dockerfileError(wrong, [], 'symbolic modes such as u=rwX,go-w are possible, too');
}
