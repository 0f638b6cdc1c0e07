import { Option } from 'commander';
import type { SessionOptions } from '../../engine/index.ts';
import type { Isolation } from '../../sandbox/index.ts';

/** What may be asked for; the list is here, too, so that `--help` need not load the sandbox. */
const CHOICES = [
  'auto',
  'userns',
  'userns-noproc',
  'copy',
  'single-id',
  'chroot',
  'none',
] as const satisfies readonly Isolation[];

/** `--isolation`. */
export function isolationOption(): Option {
  return new Option(
    '--isolation <rung>',
    'what steps run in: auto, the strongest that this machine allows (see "tsbuild doctor"); userns, namespaces and overlays; userns-noproc, with the /proc around; copy, namespaces and copies of layers; single-id, as for users without subordinate ids; chroot, for root of a container without namespaces: no isolation; none, no steps (default: $TSBUILD_ISOLATION, else auto)',
  ).choices(CHOICES);
}

/** What `--isolation` means for a session. */
export function isolationOptions({ isolation }: { readonly isolation?: Isolation }): Pick<SessionOptions, 'isolation'> {
  return isolation === undefined ? {} : { isolation };
}
