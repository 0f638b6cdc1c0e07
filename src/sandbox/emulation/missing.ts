import { release } from 'node:os';
import { formatPlatform, type Platform } from '../../image/index.ts';
import { TsbuildError } from '../../util/index.ts';
import type { Emulator, ExitStatus } from '../types.ts';
import { elfKind } from './elf.ts';
import type { Emulation } from './emulation.ts';

/**
 * What a step failed of whose program could not be executed, if that is the lack of an emulator.
 * @param platform of the step
 * @param emulator that the step was given
 */
export function foreignFailure(
  emulation: Emulation,
  platform: Platform,
  emulator: Emulator | undefined,
  status: ExitStatus,
): TsbuildError | undefined {
  if (status.kind !== 'not-executed' || !emulation.isForeign(platform)) return undefined;
  const { errno, emulatorRefused: refused } = status;
  // ENOENT is also what a machine's interpreter gives that is looked for in the step's root.
  const isSought = emulator === undefined && emulation.isUnfixed(platform.architecture);
  if (errno !== 'ENOEXEC' && !(errno === 'ENOENT' && isSought)) return undefined;
  const native = `do this in a stage that runs here (FROM --platform=$BUILDPLATFORM ...) and COPY --from it`;
  const machine = `docker run --privileged --rm tonistiigi/binfmt --install ${platform.architecture}`;
  const failed = (why: string, hint: string): TsbuildError =>
    new TsbuildError(
      'TSB_STEP',
      `Cannot execute ${JSON.stringify(status.path)} for ${formatPlatform(platform)}: ${why}`,
      {
        hint,
      },
    );
  if (emulator !== undefined && refused !== undefined)
    return failed(
      `Linux ${release()} does not let a user namespace use ${emulator.interpreter} (${refused}; it came with 6.7)`,
      `register it for the whole machine: sudo apt-get install qemu-user-static binfmt-support, or ${machine}; or ${native}`,
    );
  const why = `this machine is ${formatPlatform(emulation.host)}`;
  if (elfKind(platform.architecture) === undefined) return failed(`${why}, and no emulator is known`, native);
  return failed(
    `${why} and has no emulator for it`,
    `sudo apt-get install qemu-user-static, or ${machine}; or ${native}`,
  );
}
