import { EnvList } from '../../llb/index.ts';
import { formatPlatform, normalizePlatform, parsePlatform, type Platform } from '../../image/index.ts';

/** `os(version)/arch/variant`. */
export function formatPlatformFull(platform: Platform): string {
  const { os, architecture, variant } = platform;
  const version = platform.osVersion ? `(${platform.osVersion})` : '';
  return [`${os}${version}`, architecture, ...(variant ? [variant] : [])].join('/');
}

/** The arguments that every Dockerfile has in its global scope. */
export function predefinedArgs(
  build: Platform,
  target: Platform,
  targetStage: string,
  overrides: ReadonlyMap<string, string>,
): EnvList {
  const args: readonly (readonly [string, string])[] = [
    ['BUILDPLATFORM', formatPlatform(build)],
    ['BUILDOS', build.os],
    ['BUILDOSVERSION', build.osVersion ?? ''],
    ['BUILDARCH', build.architecture],
    ['BUILDVARIANT', build.variant ?? ''],
    ['TARGETPLATFORM', formatPlatformFull(target)],
    ['TARGETOS', target.os],
    ['TARGETOSVERSION', target.osVersion ?? ''],
    ['TARGETARCH', target.architecture],
    ['TARGETVARIANT', target.variant ?? ''],
    ['TARGETSTAGE', targetStage === '' ? 'default' : targetStage],
  ];
  return EnvList.from(args.map(([key, value]) => [key, overrides.get(key) ?? value] as const));
}

/** ` ->arm64` behind a step's platform when the stage builds for another one, as its TARGET* variables say. */
export function crossTarget(base: Platform, env: EnvList): string {
  const found = platformOfEnv(env);
  if (found === undefined) return '';
  const target = normalizePlatform({
    ...found,
    os: found.os || base.os,
    architecture: found.architecture || base.architecture,
  });
  if (target.os !== base.os) return `->${formatPlatformFull(target)}`;
  if (target.architecture === base.architecture) return '';
  return `->${target.architecture}${target.variant ? `/${target.variant}` : ''}`;
}

function platformOfEnv(env: EnvList): Platform | undefined {
  const parts = { os: '', architecture: '', variant: '' };
  let found = false;
  for (const [key, value] of env.entries()) {
    if (key === 'TARGETPLATFORM') {
      try {
        return parsePlatform(value);
      } catch {
        continue;
      }
    }
    if (key === 'TARGETOS') parts.os = value;
    else if (key === 'TARGETARCH') parts.architecture = value;
    else if (key === 'TARGETVARIANT') parts.variant = value;
    else continue;
    found = true;
  }
  return found
    ? { os: parts.os, architecture: parts.architecture, ...(parts.variant ? { variant: parts.variant } : {}) }
    : undefined;
}
