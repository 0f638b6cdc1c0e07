import { TsbuildError } from '../util/index.ts';

/** What a user may ask for; `auto` is the strongest that the machine allows, and what it chooses is told where it is not the strongest. */
export type Isolation = 'auto' | 'userns' | 'userns-noproc' | 'copy' | 'single-id' | 'chroot' | 'none';

const ISOLATIONS: readonly Isolation[] = ['auto', 'userns', 'userns-noproc', 'copy', 'single-id', 'chroot', 'none'];

/** The value of `$TSBUILD_ISOLATION`. @throws TsbuildError `TSB_USAGE` */
export function parseIsolation(text: string): Isolation {
  const found = ISOLATIONS.find((isolation) => isolation === text);
  if (found !== undefined) return found;
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot use TSBUILD_ISOLATION=${JSON.stringify(text)}: there is no such isolation`,
    {
      hint: `it can be ${ISOLATIONS.join(', ')}`,
    },
  );
}
