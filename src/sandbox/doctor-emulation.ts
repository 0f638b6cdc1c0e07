import { emulatedArchitectures, elfKind, Emulation, smallestProgram } from './emulation/index.ts';
import type { TrialProgram } from './trial-step.ts';

/** What the doctor says of other platforms. */
export interface EmulationFinding {
  readonly text: string;
  readonly fix?: string;
}

/** Spelled as for `--platform`. */
function spelled(architecture: string): string {
  return architecture === 'arm' ? 'linux/arm/v7' : `linux/${architecture}`;
}

/**
 * For which other platforms steps can run here: for each, a step runs the smallest program of it.
 * @param runs whether a step with this program ends well
 */
export async function findEmulated(
  scratchDir: string,
  runs: (trial: TrialProgram) => Promise<boolean>,
): Promise<EmulationFinding> {
  const emulation = new Emulation({ scratchDir: () => scratchDir });
  const others = emulatedArchitectures.filter((architecture) => emulation.isForeign({ architecture }));
  const found = await Promise.all(
    others.map(async (architecture) => {
      const kind = elfKind(architecture);
      if (kind === undefined) return undefined;
      const emulator = emulation.emulatorFor({ architecture });
      const works = await runs({ program: smallestProgram(kind), ...(emulator ? { emulator } : {}) });
      return { architecture, works, emulator };
    }),
  );
  const working = found.filter((each) => each?.works).map((each) => spelled(each?.architecture ?? ''));
  const refused = found.filter((each) => each !== undefined && !each.works && each.emulator !== undefined);
  const text = working.length === 0 ? 'steps run for this platform only' : `steps also run for ${working.join(', ')}`;
  if (refused.length > 0)
    return {
      text: `${text}; ${refused.map((each) => each?.emulator?.interpreter).join(', ')} cannot be used in a user namespace (since Linux 6.7)`,
      fix: 'sudo apt-get install binfmt-support qemu-user-static',
    };
  if (working.some((name) => name !== 'linux/386')) return { text };
  return { text, fix: 'for others: sudo apt-get install qemu-user-static' };
}
