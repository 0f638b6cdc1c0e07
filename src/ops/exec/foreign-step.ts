import type { OpPlatform } from '../../llb/index.ts';
import { normalizePlatform, type Platform } from '../../image/index.ts';
import type { Emulation, StepSpec } from '../../sandbox/index.ts';

/** The platform of an op in the image model's terms; this machine's where the op has none. */
export function stepPlatform(emulation: Emulation, platform: OpPlatform | undefined): Platform {
  if (platform === undefined || platform.architecture === '') return emulation.host;
  const { os, architecture, variant } = platform;
  return normalizePlatform({ os, architecture, ...(variant === '' ? {} : { variant }) });
}

/** The step with what executes programs of its platform. It is no part of the step's key: the image decides, not who runs it. */
export function withEmulator(spec: StepSpec, emulation: Emulation, platform: Platform): StepSpec {
  const emulator = emulation.emulatorFor(platform);
  return emulator === undefined ? spec : { ...spec, emulator };
}
