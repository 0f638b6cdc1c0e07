import { dockerfileError } from '../failure.ts';
import { didYouMean } from '../suggestion.ts';
import { goQuote } from '../text.ts';
import type { Mount, MountType, SharingMode } from '../types.ts';
import { csvFields, parseBytes, parseUint32 } from './values.ts';
import { goBool } from '../../../util/index.ts';

/** Expands the variables of one word. */
export type WordExpander = (word: string) => string;

type MutableMount = { -readonly [K in keyof Mount]: Mount[K] } & { readOnlySet: boolean };

const MOUNT_TYPES: readonly MountType[] = ['bind', 'cache', 'tmpfs', 'secret', 'ssh'];
const SHARING_MODES: readonly SharingMode[] = ['shared', 'private', 'locked'];
const KEYS = [
  'type', 'from', 'source', 'target', 'readonly', 'id', 'sharing', 'required', 'size', 'mode', 'uid', 'gid', 'src', 'dst',
  'destination', 'ro', 'rw', 'readwrite', 'env',
]; // oxfmt-ignore

/**
 * Reads the value of a `--mount`. Without `expand` only `from` is read, because it alone takes no variables; the rest is judged
 * when they are known.
 * @throws TsbuildError without a place
 */
export function parseMount(value: string, expand: WordExpander | undefined): Mount {
  const mount: MutableMount = {
    type: 'bind',
    from: '',
    source: '',
    target: '',
    readOnly: false,
    size: 0,
    id: '',
    sharing: undefined,
    required: false,
    env: undefined,
    mode: undefined,
    uid: undefined,
    gid: undefined,
    readOnlySet: false,
  };
  for (const field of csvFields(value, 'mounts')) {
    const equals = field.indexOf('=');
    const key = (equals < 0 ? field : field.slice(0, equals)).toLowerCase();
    const text = field.slice(equals + 1);
    if (expand) {
      if (equals < 0) setBareKey(mount, key, field);
      else setKey(mount, key, expand(text), field);
    } else if (equals >= 0 && key === 'from') {
      const dollar = text.indexOf('$');
      if (dollar >= 0 && dollar !== text.length - 1) {
        throw dockerfileError(`'${key}' doesn't support variable expansion, define alias stage instead`);
      }
      mount.from = text;
    }
  }
  return finished(mount);
}

/** A key without a value is a switch. */
function setBareKey(mount: MutableMount, key: string, field: string): void {
  switch (key) {
    case 'readonly':
    case 'ro':
      setReadOnly(mount, true);
      break;
    case 'readwrite':
    case 'rw':
      setReadOnly(mount, false);
      break;
    case 'required':
      allowOnly(mount, key, ['secret', 'ssh']);
      mount.required = true;
      break;
    default:
      throw dockerfileError(`invalid field '${field}' must be a key=value pair`);
  }
}

/** A key with a value. */
function setKey(mount: MutableMount, key: string, value: string, field: string): void {
  switch (key) {
    case 'type':
      mount.type = oneOf(MOUNT_TYPES, value, 'mount type');
      break;
    case 'from':
      mount.from = value;
      break;
    case 'source':
    case 'src':
      mount.source = value;
      break;
    case 'target':
    case 'dst':
    case 'destination':
      mount.target = value;
      break;
    case 'readonly':
    case 'ro':
      setReadOnly(mount, booleanOf(key, value));
      break;
    case 'readwrite':
    case 'rw':
      setReadOnly(mount, !booleanOf(key, value));
      break;
    case 'required':
      allowOnly(mount, key, ['secret', 'ssh']);
      mount.required = booleanOf(key, value);
      break;
    case 'size':
      allowOnly(mount, key, ['tmpfs']);
      mount.size = parseBytes(value) ?? invalidValue(key, value);
      break;
    case 'id':
      mount.id = value;
      break;
    case 'sharing':
      mount.sharing = oneOf(SHARING_MODES, value, 'sharing value');
      break;
    case 'mode':
    case 'uid':
    case 'gid':
      mount[key] = parseUint32(value, key === 'mode' ? 8 : 10) ?? invalidNumber(key, value);
      break;
    case 'env':
      mount.env = value;
      break;
    default:
      throw dockerfileError(didYouMean(`unexpected key '${key}' in '${field}'`, key, KEYS));
  }
}

/** Checks what depends on the type, which may stand behind the keys that it allows. */
function finished({ readOnlySet, ...mount }: MutableMount): Mount {
  if (mount.type === 'bind' || mount.type === 'tmpfs') {
    for (const key of ['mode', 'uid', 'gid'] as const) {
      if (mount[key] !== undefined) throw dockerfileError(`${key} not allowed for "${mount.type}" type mounts`);
    }
  }
  if (!readOnlySet) mount.readOnly = mount.type !== 'cache' && mount.type !== 'tmpfs';
  if (mount.type === 'secret') checkSecret(mount);
  if (mount.sharing !== undefined && mount.type !== 'cache') {
    throw dockerfileError(`invalid cache sharing set for ${mount.type} mount`);
  }
  return mount;
}

/** What a secret mount may not say, in BuildKit's words. */
function checkSecret(mount: Mount): void {
  if (mount.from !== '') throw dockerfileError('secret mount should not have a from');
  if (mount.sharing !== undefined) throw dockerfileError('secret mount should not define sharing');
  if (mount.source === '' && mount.target === '' && mount.id === '') {
    throw dockerfileError('invalid secret mount. one of source, target required');
  }
  if (mount.source !== '' && mount.id !== '') throw dockerfileError("both source and id can't be set");
}

function setReadOnly(mount: MutableMount, value: boolean): void {
  mount.readOnly = value;
  mount.readOnlySet = true;
}

/**
 * Keys that mean something for some types only.
 * @throws TsbuildError `TSB_DOCKERFILE`
 */
function allowOnly(mount: MutableMount, key: string, types: readonly MountType[]): void {
  if (!types.includes(mount.type)) throw dockerfileError(`unexpected key '${key}' for mount type '${mount.type}'`);
}

function oneOf<T extends string>(allowed: readonly T[], value: string, what: string): T {
  const found = allowed.find((candidate) => candidate === value.toLowerCase());
  if (found === undefined) throw dockerfileError(didYouMean(`unsupported ${what} ${goQuote(value)}`, value, allowed));
  return found;
}

function booleanOf(key: string, value: string): boolean {
  return goBool(value) ?? invalidValue(key, value);
}

function invalidValue(key: string, value: string): never {
  throw dockerfileError(`invalid value for ${key}: ${value}`);
}

function invalidNumber(key: string, value: string): never {
  throw dockerfileError(`invalid value ${value} for ${key}`);
}
