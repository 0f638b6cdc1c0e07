import { TsbuildError } from '../util/index.ts';
import type { OciPlatform } from './descriptor.ts';

/** A target platform in Go's terms: `linux`, `amd64`, `v7`. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly osVersion?: string;
}

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  arm64: 'arm64',
  arm: 'arm',
  ia32: '386',
  ppc64: 'ppc64le',
  riscv64: 'riscv64',
  s390x: 's390x',
  loong64: 'loong64',
};

/** The platform of this machine. */
export function hostPlatform(): Platform {
  return normalizePlatform({ os: 'linux', architecture: ARCHITECTURES[process.arch] ?? process.arch });
}

const KNOWN_ARCHITECTURES = new Set([
  '386', 'amd64', 'arm', 'arm64', 'loong64', 'mips', 'mipsle', 'mips64', 'mips64le', 'ppc64', 'ppc64le', 'riscv64', 's390x', 'wasm',
]); // oxfmt-ignore

/**
 * Parses `os/arch[/variant]`, `os` alone or `arch` alone, as containerd's platforms.Parse does.
 * Missing parts come from `fallback` (default: this machine).
 * @throws TsbuildError `TSB_USAGE` on anything else.
 */
export function parsePlatform(text: string, fallback: Platform = hostPlatform()): Platform {
  const bad = (): TsbuildError =>
    new TsbuildError(
      'TSB_USAGE',
      `Cannot use platform ${JSON.stringify(text)}: expected "os/arch" or "os/arch/variant"`,
      {
        hint: 'for example: --platform linux/amd64',
      },
    );
  const match = /^([A-Za-z0-9_.-]+)(?:\(([A-Za-z0-9_.-]*)\))?(?:\/([A-Za-z0-9_.-]+))?(?:\/([A-Za-z0-9_.-]+))?$/.exec(
    text.trim(),
  );
  // Platforms become names of directories, where dots alone have a meaning.
  if (!match || match.slice(1).some((part) => /^\.+$/.test(part ?? ''))) throw bad();
  const [, first = '', osVersion, architecture, variant] = match;
  const version = osVersion ? { osVersion } : {};
  if (architecture !== undefined) {
    return normalizePlatform({
      os: normalizeOs(first),
      architecture,
      ...(variant === undefined ? {} : { variant }),
      ...version,
    });
  }
  const alone = normalizePlatform({ os: fallback.os, architecture: first });
  if (KNOWN_ARCHITECTURES.has(alone.architecture)) return alone;
  if (!/^(linux|windows|darwin|macos|freebsd|wasip1|js)$/i.test(first)) throw bad();
  return { ...fallback, os: normalizeOs(first), ...version };
}

function normalizeOs(os: string): string {
  const lower = os.toLowerCase();
  return lower === 'macos' ? 'darwin' : lower;
}

/** Canonical spelling: `x86_64` becomes `amd64`, `aarch64` and `arm64/v8` become `arm64`, `arm` becomes `arm/v7`. */
export function normalizePlatform(platform: Platform): Platform {
  const { os, osVersion } = platform;
  let architecture = platform.architecture.toLowerCase();
  let variant = platform.variant?.toLowerCase();
  switch (architecture) {
    case 'i386':
      architecture = '386';
      variant = undefined;
      break;
    case 'x86_64':
    case 'x86-64':
    case 'amd64':
      architecture = 'amd64';
      if (variant === 'v1') variant = undefined;
      break;
    case 'aarch64':
    case 'arm64':
      architecture = 'arm64';
      if (variant === '8' || variant === 'v8') variant = undefined;
      break;
    case 'armhf':
      architecture = 'arm';
      variant = 'v7';
      break;
    case 'armel':
      architecture = 'arm';
      variant = 'v6';
      break;
    case 'arm':
      if (variant === undefined || variant === '' || variant === '7') variant = 'v7';
      else if (/^[568]$/.test(variant)) variant = `v${variant}`;
      break;
    default:
  }
  return {
    os: normalizeOs(os),
    architecture,
    ...(variant ? { variant } : {}),
    ...(osVersion === undefined ? {} : { osVersion }),
  };
}

/** `linux/amd64`, `linux/arm/v7`. */
export function formatPlatform(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant]
    .filter((part) => part !== undefined && part !== '')
    .join('/');
}

/** A platform as descriptors and configs spell it. */
export function toOciPlatform(platform: Platform): OciPlatform {
  return {
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.osVersion === undefined ? {} : { 'os.version': platform.osVersion }),
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
  };
}
