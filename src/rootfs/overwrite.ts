import { type ByteString, toText } from '../tree/index.ts';
import { TsbuildError } from '../util/index.ts';

/** The error for two platforms' files at one path. */
export function overwrite(path: ByteString, owner: string, label: string): TsbuildError {
  return new TsbuildError(
    'TSB_EXPORT',
    `Cannot export: cannot overwrite ${toText(path)} from ${owner} with ${label} when split option is disabled`,
    { hint: 'leave out "platform-split=false"' },
  );
}
