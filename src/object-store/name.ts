import { sanitizeLine, TsbuildError } from '../util/index.ts';

/** A name: parts of lower-case letters, digits and `._-` between slashes, none of them `.` or `..`; at most 512 characters. */
const NAME = /^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[a-z0-9._-]+(?:\/[a-z0-9._-]+)*$/;

/** Whether a text is the name of an object. Names that a server lists are asked about here before anything is done with them. */
export function isObjectName(name: string): boolean {
  return name.length <= 512 && NAME.test(name);
}

/** @throws TsbuildError `TSB_DIGEST` for what is no name: it may come from what others wrote */
export function checkObjectName(name: string): string {
  if (!isObjectName(name))
    throw new TsbuildError(
      'TSB_DIGEST',
      `Cannot use ${JSON.stringify(sanitizeLine(name, 100))} as the name of an object`,
    );
  return name;
}
