import { type ByteString, joinPath } from '../tree/index.ts';
import { TsbuildError } from '../util/index.ts';
import { quote } from './byte-string.ts';

/** What stands before a name in an archive that is gone (image-spec layer.md). */
export const WHITEOUT = '.wh.';

/** Names of aufs's own bookkeeping start so. */
export const WHITEOUT_META = '.wh..wh.';

/** The path of what a layer has of a file. @throws TsbuildError `TSB_EXPORT` for a name that would be taken for a deletion */
export function layerPath(directory: ByteString, name: ByteString): ByteString {
  const path = joinPath(directory, name);
  if (!name.startsWith(WHITEOUT)) return path;
  throw new TsbuildError(
    'TSB_EXPORT',
    `Cannot store ${quote(path)} in a layer: names that start with ".wh." mark deletions`,
    { hint: 'Remove or rename the file in the step that makes it' },
  );
}

/** The path of what a layer has of a name that is gone. @throws as `layerPath` */
export function whiteoutPath(directory: ByteString, name: ByteString): ByteString {
  layerPath(directory, name);
  return joinPath(directory, `${WHITEOUT}${name}`);
}
