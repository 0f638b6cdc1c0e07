import type { Descriptor, OciPlatform } from './descriptor.ts';
import { isDigest, sanitizeLine, TsbuildError } from '../util/index.ts';

/** A JSON object whose values were not looked at yet. */
export type Json = Record<string, unknown>;

/** Checks values of a parsed document; messages name the document and the path within it. */
export interface Guard {
  readonly what: string;
  fail(path: string, why: string): TsbuildError;
  object(value: unknown, path: string): Json;
  list(value: unknown, path: string, maxLength?: number): readonly unknown[];
  string(value: unknown, path: string): string;
  optionalString(value: unknown, path: string): string | undefined;
  /** A JSON object with string values; null counts as absent, as Go writes empty maps. */
  strings(value: unknown, path: string): Record<string, string> | undefined;
  stringList(value: unknown, path: string): string[] | undefined;
  descriptor(value: unknown, path: string): Descriptor;
}

const MEDIA_TYPE = /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$/;

/** @param what the document, e.g. `manifest of "docker.io/library/alpine"` */
export function guardFor(what: string): Guard {
  const fail = (path: string, why: string): TsbuildError =>
    new TsbuildError('TSB_IMAGE', `Cannot use ${what}: ${path === '' ? '' : `"${path}" `}${why}`);

  const object = (value: unknown, path: string): Json => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw fail(path, 'is not an object');
    return value as Json;
  };
  const list = (value: unknown, path: string, maxLength = 100_000): readonly unknown[] => {
    if (!Array.isArray(value)) throw fail(path, 'is not a list');
    if (value.length > maxLength) throw fail(path, `has ${value.length} entries, more than the limit of ${maxLength}`);
    return value;
  };
  const string = (value: unknown, path: string): string => {
    if (typeof value !== 'string') throw fail(path, 'is not a string');
    return value;
  };
  const optionalString = (value: unknown, path: string): string | undefined =>
    value === undefined || value === null ? undefined : string(value, path);
  const strings = (value: unknown, path: string): Record<string, string> | undefined => {
    if (value === undefined || value === null) return undefined;
    const found = object(value, path);
    for (const [key, item] of Object.entries(found)) string(item, `${path}.${sanitizeLine(key, 80)}`);
    return found as Record<string, string>;
  };
  const stringList = (value: unknown, path: string): string[] | undefined => {
    if (value === undefined || value === null) return undefined;
    return list(value, path).map((item, index) => string(item, `${path}[${index}]`));
  };

  const platform = (value: unknown, path: string): OciPlatform | undefined => {
    if (value === undefined || value === null) return undefined;
    const found = object(value, path);
    const osVersion = optionalString(found['os.version'], `${path}.os.version`);
    const osFeatures = stringList(found['os.features'], `${path}.os.features`);
    const variant = optionalString(found['variant'], `${path}.variant`);
    return {
      architecture: optionalString(found['architecture'], `${path}.architecture`) ?? '',
      os: optionalString(found['os'], `${path}.os`) ?? '',
      ...(osVersion ? { 'os.version': osVersion } : {}),
      ...(osFeatures ? { 'os.features': osFeatures } : {}),
      ...(variant ? { variant } : {}),
    };
  };

  const descriptor = (value: unknown, path: string): Descriptor => {
    const found = object(value, path);
    const mediaType = string(found['mediaType'], `${path}.mediaType`);
    if (!MEDIA_TYPE.test(mediaType)) throw fail(`${path}.mediaType`, 'is not a media type');
    const digest = string(found['digest'], `${path}.digest`);
    if (!isDigest(digest)) {
      const other = /^sha(?:384|512):/.test(digest) ? 'uses an algorithm other than sha256' : 'is not a sha256 digest';
      throw fail(`${path}.digest`, `is ${JSON.stringify(sanitizeLine(digest, 100))}, which ${other}`);
    }
    const size = found['size'];
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
      throw fail(`${path}.size`, 'is not a whole number of bytes');
    }
    const urls = stringList(found['urls'], `${path}.urls`);
    const annotations = strings(found['annotations'], `${path}.annotations`);
    const os = platform(found['platform'], `${path}.platform`);
    const artifactType = optionalString(found['artifactType'], `${path}.artifactType`);
    const data = optionalString(found['data'], `${path}.data`);
    return {
      mediaType,
      digest,
      size,
      ...(urls ? { urls } : {}),
      ...(annotations ? { annotations } : {}),
      ...(data === undefined ? {} : { data }),
      ...(os ? { platform: os } : {}),
      ...(artifactType === undefined ? {} : { artifactType }),
    };
  };

  return { what, fail, object, list, string, optionalString, strings, stringList, descriptor };
}
