import { sanitizeLine, TsbuildError } from '../util/index.ts';
import { isDeviceName, isKind } from './names.ts';
import type { ContainerEdits, DeviceNode, DeviceSpec, HostMount, RegisteredDevice } from './types.ts';

type Json = Readonly<Record<string, unknown>>;

/** Entries of any list in a specification. */
const MAX_ENTRIES = 4096;
/** Characters of any string: PATH_MAX, and more than any variable of a driver needs. */
const MAX_TEXT = 4096;
const MAX_ID = 2 ** 32 - 2;

/** What `containerEdits` of the versions up to 1.1 may have. */
const KNOWN_EDITS = ['env', 'deviceNodes', 'mounts', 'hooks', 'intelRdt', 'netDevices', 'additionalGids'];

/**
 * Reads a specification of the Container Device Interface, version 0.3 to 1.x.
 * @param document parsed JSON or YAML, from anybody
 * @param path of the file, for messages
 * @throws TsbuildError `TSB_STEP` that says what is wrong where
 */
export function parseSpec(document: unknown, path: string): DeviceSpec {
  const reader = new Reader(path);
  const spec = reader.object(document, '');
  const version = reader.text(spec['cdiVersion'], 'cdiVersion');
  if (!/^v?(?:0\.[3-9]|1\.\d{1,3})\.\d{1,3}$/.test(version))
    throw reader.fail('cdiVersion', `is ${quote(version)}, and versions 0.3 to 1 are understood`);
  const kind = reader.text(spec['kind'], 'kind');
  if (!isKind(kind)) throw reader.fail('kind', `is ${quote(kind)} and not VENDOR/CLASS`);
  const annotations = reader.annotations(spec['annotations'], 'annotations');
  const common = parseEdits(reader, spec['containerEdits'], 'containerEdits');
  const devices = new Map<string, RegisteredDevice>();
  for (const [index, value] of reader.list(spec['devices'], 'devices').entries()) {
    const at = `devices[${index}]`;
    const device = reader.object(value, at);
    const name = reader.text(device['name'], `${at}.name`);
    if (!isDeviceName(name)) throw reader.fail(`${at}.name`, `is ${quote(name)}, which is not a name`);
    if (devices.has(name)) throw reader.fail(`${at}.name`, `is ${quote(name)}, as that of another device`);
    devices.set(name, {
      name: `${kind}=${name}`,
      kind,
      annotations: new Map([...annotations, ...reader.annotations(device['annotations'], `${at}.annotations`)]),
      edits: parseEdits(reader, device['containerEdits'], `${at}.containerEdits`),
      common,
    });
  }
  return { path, kind, devices: [...devices.values()] };
}

/** What a device changes in a container. */
function parseEdits(reader: Reader, value: unknown, at: string): ContainerEdits {
  const edits = reader.optionalObject(value, at);
  const each = <T>(name: string, parse: (item: unknown, at: string) => T): readonly T[] =>
    reader.optionalList(edits[name], `${at}.${name}`).map((item, index) => parse(item, `${at}.${name}[${index}]`));
  const unsupported: string[] = [];
  const env = each('env', (item, where) => parseVariable(reader, item, where));
  const deviceNodes = each('deviceNodes', (item, where) => parseNode(reader, item, where, unsupported));
  const mounts = each('mounts', (item, where) => parseMount(reader, item, where, unsupported));
  const additionalGids = each('additionalGids', (item, where) => reader.id(item, where)).filter((gid) => gid !== 0);
  each('hooks', (item, where) => unsupported.push(describeHook(reader, item, where)));
  for (const name of ['intelRdt', 'netDevices']) if (isPresent(edits[name])) unsupported.push(name);
  // A later version's edits cannot be left out as if nobody needed them.
  for (const name of Object.keys(edits))
    if (!KNOWN_EDITS.includes(name)) unsupported.push(`unknown edit ${quote(name)}`);
  return { env, deviceNodes: deviceNodes.flat(), mounts: mounts.flat(), additionalGids, unsupported };
}

function parseVariable(reader: Reader, value: unknown, at: string): string {
  const text = reader.text(value, at);
  if (text.indexOf('=') < 1) throw reader.fail(at, `is ${quote(text)} and not NAME=VALUE`);
  return text;
}

function parseNode(reader: Reader, value: unknown, at: string, unsupported: string[]): readonly DeviceNode[] {
  const node = reader.object(value, at);
  const path = reader.path(node['path'], `${at}.path`);
  const hostPath = isPresent(node['hostPath']) ? reader.path(node['hostPath'], `${at}.hostPath`) : path;
  const type = reader.optionalText(node['type'], `${at}.type`);
  const major = isPresent(node['major']) ? reader.id(node['major'], `${at}.major`) : 0;
  const minor = isPresent(node['minor']) ? reader.id(node['minor'], `${at}.minor`) : 0;
  if (type === 'p') {
    unsupported.push(`named pipe ${quote(path)}`);
    return [];
  }
  if (type !== '' && type !== 'b' && type !== 'c' && type !== 'u')
    throw reader.fail(`${at}.type`, `is ${quote(type)}, and not one of b, c, u, p`);
  return [{ path, hostPath, ...(type === '' ? {} : { type }), ...(major === 0 ? {} : { major, minor }) }];
}

function parseMount(reader: Reader, value: unknown, at: string, unsupported: string[]): readonly HostMount[] {
  const mount = reader.object(value, at);
  const type = reader.optionalText(mount['type'], `${at}.type`);
  const hostPath = reader.text(mount['hostPath'], `${at}.hostPath`);
  const containerPath = reader.path(mount['containerPath'], `${at}.containerPath`);
  if (type !== '' && type !== 'bind' && type !== 'none') {
    unsupported.push(`mount of type ${quote(type)} at ${quote(containerPath)}`);
    return [];
  }
  const options = reader
    .optionalList(mount['options'], `${at}.options`)
    .map((item, index) => reader.text(item, `${at}.options[${index}]`));
  // The last one counts, as with mount(8).
  const readonly = options.findLast((option) => option === 'ro' || option === 'rw') === 'ro';
  return [{ hostPath: reader.path(hostPath, `${at}.hostPath`), containerPath, readonly }];
}

/** A hook is a program of the machine: it is named and never run. */
function describeHook(reader: Reader, value: unknown, at: string): string {
  const hook = reader.object(value, at);
  const name = reader.text(hook['hookName'], `${at}.hookName`);
  return `hook ${sanitizeLine(name, 40)} (${quote(reader.text(hook['path'], `${at}.path`))})`;
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function quote(text: string): string {
  return JSON.stringify(sanitizeLine(text, 200));
}

/** Checks values of a document; messages name the file and the place in it. */
class Reader {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  fail(at: string, why: string): TsbuildError {
    const place = at === '' ? 'it' : JSON.stringify(at);
    return new TsbuildError(
      'TSB_STEP',
      `Cannot use device specification ${JSON.stringify(this.#path)}: ${place} ${why}`,
    );
  }

  object(value: unknown, at: string): Json {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw this.fail(at, 'is not an object');
    return value as Json;
  }

  optionalObject(value: unknown, at: string): Json {
    return isPresent(value) ? this.object(value, at) : {};
  }

  list(value: unknown, at: string): readonly unknown[] {
    if (!Array.isArray(value)) throw this.fail(at, 'is not a list');
    if (value.length > MAX_ENTRIES)
      throw this.fail(at, `has ${value.length} entries, more than the limit of ${MAX_ENTRIES}`);
    return value;
  }

  optionalList(value: unknown, at: string): readonly unknown[] {
    return isPresent(value) ? this.list(value, at) : [];
  }

  /** A string. YAML's plain `true` and numbers are strings where one is wanted, as other readers of specifications have it. */
  text(plain: unknown, at: string): string {
    const value = typeof plain === 'boolean' || Number.isSafeInteger(plain) ? String(plain) : plain;
    if (typeof value !== 'string') throw this.fail(at, 'is not a string');
    if (value.length > MAX_TEXT) throw this.fail(at, `is longer than ${MAX_TEXT} characters`);
    if (value.includes('\0')) throw this.fail(at, 'contains a NUL byte');
    return value;
  }

  optionalText(value: unknown, at: string): string {
    return isPresent(value) ? this.text(value, at) : '';
  }

  path(value: unknown, at: string): string {
    const text = this.text(value, at);
    if (!text.startsWith('/')) throw this.fail(at, `is ${quote(text)}, which is not an absolute path`);
    return text;
  }

  /** A group id or device number. */
  id(value: unknown, at: string): number {
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MAX_ID)
      throw this.fail(at, `is not a number from 0 to ${MAX_ID}`);
    return value;
  }

  annotations(value: unknown, at: string): ReadonlyMap<string, string> {
    const entries = Object.entries(this.optionalObject(value, at));
    if (entries.length > MAX_ENTRIES) throw this.fail(at, `has more than ${MAX_ENTRIES} entries`);
    return new Map(entries.map(([key, item]) => [key, this.text(item, `${at}.${sanitizeLine(key, 80)}`)]));
  }
}
