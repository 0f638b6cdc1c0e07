import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { isVolumeName, Volumes } from '../../containers/index.ts';
import type { Session } from '../../engine/index.ts';
import type { ImageConfig } from '../../image/index.ts';
import { parseVolume } from '../../runtime/index.ts';
import type { BindMount, MountSpec, TmpfsMount } from '../../sandbox/index.ts';
import { parseSize, TsbuildError } from '../../util/index.ts';

/** Options that say what is mounted in a container. */
export interface MountOptions {
  readonly volume?: readonly string[];
  readonly mount?: readonly string[];
  readonly tmpfs?: readonly string[];
  readonly volumesFrom?: readonly string[];
  readonly device?: readonly string[];
  readonly gpus?: string;
  readonly readOnly?: boolean;
}

/**
 * What a container has mounted in it; volumes that do not exist are made.
 * @throws TsbuildError `TSB_USAGE`
 */
export async function parseMounts(session: Session, cwd: string, options: MountOptions): Promise<readonly MountSpec[]> {
  const volumes = new Volumes(session.store);
  const makeVolume = async (
    name: string | undefined,
    target: string,
    isReadonly: boolean,
    fill: boolean,
  ): Promise<BindMount> => {
    const { idShift } = await session.plan();
    const volume = volumes.ensure(name, idShift);
    return { type: 'bind', source: volume.directory, target, readonly: isReadonly, volume: volume.name, fill };
  };
  const mounts: MountSpec[] = [];
  // The same words twice say it once, as with docker.
  for (const text of new Set(options.volume)) mounts.push(await volumeOf(text, cwd, makeVolume, session));
  for (const text of options.mount ?? []) mounts.push(await mountOf(text, cwd, makeVolume));
  for (const text of options.tmpfs ?? []) mounts.push(tmpfsOf(text));
  for (const text of options.device ?? []) if (!namesDevice(text)) mounts.push(deviceOf(text));
  const taken = mounts.map(({ target }) => resolve(target));
  const twice = taken.find((target, at) => taken.indexOf(target) < at);
  if (twice !== undefined) throw new TsbuildError('TSB_USAGE', `Cannot mount two things at ${JSON.stringify(twice)}`);
  if (options.volumesFrom !== undefined) {
    // Other containers are looked for by few.
    const { volumesFrom } = await import('./volumes-from.ts');
    for (const mount of volumesFrom(session, options.volumesFrom, mounts)) {
      mounts.push(mount);
      taken.push(resolve(mount.target));
    }
  }
  // Programs of a root that cannot be written to want a place all the same: as podman has it.
  if (options.readOnly)
    for (const target of ['/run', '/tmp', '/var/tmp'])
      if (!taken.includes(target)) mounts.push({ type: 'tmpfs', target, mode: target === '/run' ? 0o755 : 0o1777 });
  return mounts;
}

/**
 * Volumes without a name for what `VOLUME` of an image names, but for places where something else is mounted.
 * @param taken what the user has mounted
 */
export async function imageVolumes(
  session: Session,
  { config }: ImageConfig,
  taken: readonly MountSpec[],
): Promise<readonly MountSpec[]> {
  const targets = new Set(Object.keys(config.Volumes ?? {}).map((path) => resolve('/', path)));
  for (const { target } of taken) targets.delete(resolve(target));
  for (const target of targets) if (isSystems(target)) targets.delete(target);
  if (targets.size === 0) return [];
  const { idShift, how } = await session.plan();
  // Without mounts they are in the container's own files, which are gone with it as volumes without a name would be.
  if (how === 'none') return [];
  const volumes = new Volumes(session.store);
  return [...targets].map((target): MountSpec => {
    const { name, directory } = volumes.ensure(undefined, idShift);
    return { type: 'bind', source: directory, target, readonly: false, volume: name, fill: true };
  });
}

/** A root has everything in it, and no image says what stands for the kernel's own directories. */
function isSystems(target: string): boolean {
  return target === '/' || ['/proc', '/sys', '/dev'].some((dir) => `${target}/`.startsWith(`${dir}/`));
}

type MakeVolume = (name: string | undefined, target: string, isReadonly: boolean, fill: boolean) => Promise<BindMount>;

/** `-v NAME:/path[:ro]`, `-v /path`, or a path of the machine. */
async function volumeOf(text: string, cwd: string, makeVolume: MakeVolume, session: Session): Promise<MountSpec> {
  const [first = '', target, options = '', ...rest] = text.split(':');
  const bad = (why: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use volume ${JSON.stringify(text)}: ${why}`);
  if (target === undefined) {
    if (!isAbsolute(first)) throw bad('expected NAME:/path, /machine/path:/path or /path');
    return makeVolume(undefined, checkTarget(first, bad), false, true);
  }
  if (isAbsolute(first) || first.startsWith('.') || rest.length > 0 || first === '') {
    // Nobody has said whose a new one is, and the container's root, who is none of this machine's, is to write there.
    return parseVolume(text, cwd, (await session.plan()).idShift);
  }
  if (!isVolumeName(first)) throw bad(`${JSON.stringify(first)} is neither the name of a volume nor a path`);
  const words = options.split(',').filter(Boolean);
  const unknown = words.find((word) => !['ro', 'rw', 'z', 'Z', 'nocopy'].includes(word));
  if (unknown !== undefined) throw bad(`there is no option ${JSON.stringify(unknown)}`);
  return makeVolume(first, checkTarget(target, bad), words.includes('ro'), !words.includes('nocopy'));
}

function checkTarget(target: string, bad: (why: string) => TsbuildError): string {
  if (!isAbsolute(target)) throw bad('the target is not an absolute path');
  if (resolve(target) === '/') throw bad('the target cannot be the root directory');
  return target;
}

/** Docker's words for the same thing. */
const KEYS: ReadonlyMap<string, string> = new Map([
  ['src', 'source'], ['dst', 'target'], ['destination', 'target'], ['ro', 'readonly'], ['tmpfs-size', 'size'], ['tmpfs-mode', 'mode'],
]); // oxfmt-ignore

/** What each type of mount takes besides its target. */
const FIELDS: ReadonlyMap<string, readonly string[]> = new Map([
  ['bind', ['source', 'readonly', 'bind-propagation', 'consistency', 'bind-nonrecursive', 'relabel']],
  ['volume', ['source', 'readonly', 'volume-nocopy', 'volume-subpath', 'consistency']],
  ['tmpfs', ['size', 'mode', 'readonly']],
]);

/** `--mount type=bind|volume|tmpfs,source=…,target=…` */
async function mountOf(text: string, cwd: string, makeVolume: MakeVolume): Promise<MountSpec> {
  const bad = (why: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use --mount ${JSON.stringify(text)}: ${why}`);
  const fields = new Map<string, string>();
  for (const part of text.split(',')) {
    const at = part.indexOf('=');
    const typed = (at < 0 ? part : part.slice(0, at)).trim();
    fields.set(KEYS.get(typed) ?? typed, at < 0 ? 'true' : part.slice(at + 1));
  }
  const type = fields.get('type') ?? 'volume';
  const allowed = FIELDS.get(type);
  if (allowed === undefined) throw bad(`there is no type ${JSON.stringify(type)}: there are bind, volume and tmpfs`);
  const unknown = [...fields.keys()].find((key) => !['type', 'target', ...allowed].includes(key));
  if (unknown !== undefined) throw bad(`there is no ${JSON.stringify(unknown)} for type ${type}`);
  const target = checkTarget(fields.get('target') ?? '', bad);
  const isReadonly = !['false', '0', undefined].includes(fields.get('readonly'));
  const source = fields.get('source');
  if (type === 'tmpfs') return tmpfs(target, isReadonly ? new Map([...fields, ['ro', '']]) : fields, bad);
  if (type === 'volume') {
    if (source !== undefined && !isVolumeName(source)) throw bad(`${JSON.stringify(source)} is no name of a volume`);
    const subpath = fields.get('volume-subpath');
    // As with docker, an empty one is all of it.
    if (!subpath) return makeVolume(source, target, isReadonly, fields.get('volume-nocopy') !== 'true');
    if (isAbsolute(subpath) || subpath.split('/').includes('..'))
      throw bad(`volume-subpath ${JSON.stringify(subpath)} is no path within the volume`);
    // It has to be there: what the image has belongs at the top of the volume.
    return { ...(await makeVolume(source, target, isReadonly, false)), subpath };
  }
  if (source === undefined) throw bad('the source is missing');
  const path = resolve(cwd, source);
  if (!existsSync(path)) throw bad(`"${path}" does not exist`);
  return { type: 'bind', source: path, target, readonly: isReadonly };
}

/** Words of mount(8) that change a tmpfs, besides those with a value. */
const TMPFS_WORDS: ReadonlyMap<string, Pick<TmpfsMount, 'noexec' | 'readonly'>> = new Map([
  ['noexec', { noexec: true }],
  ['exec', { noexec: false }],
  ['ro', { readonly: true }],
  ['rw', { readonly: false }],
]);

/** Those that say what is always so, or nothing here. */
const SILENT_WORDS: ReadonlySet<string> = new Set([
  'defaults', 'nosuid', 'nodev', 'noatime', 'relatime', 'strictatime', 'nodiratime', 'async', 'private', 'rprivate',
]); // oxfmt-ignore

/** `--tmpfs /path[:size=…,mode=…,uid=…,gid=…,exec]` */
function tmpfsOf(text: string): MountSpec {
  const bad = (why: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use --tmpfs ${JSON.stringify(text)}: ${why}`);
  const [target = '', options = ''] = text.split(':', 2);
  const fields = new Map<string, string>();
  for (const word of options.split(',').filter(Boolean)) {
    const [key = '', value = ''] = word.split('=');
    // The last of two that contradict each other counts.
    fields.delete(key);
    fields.set(key, value);
  }
  const known = new Set(['size', 'mode', 'uid', 'gid']);
  const unknown = [...fields.keys()].find((key) => !known.has(key) && !TMPFS_WORDS.has(key) && !SILENT_WORDS.has(key));
  if (unknown !== undefined) throw bad(`there is no option ${JSON.stringify(unknown)}`);
  return tmpfs(checkTarget(target, bad), fields, bad);
}

function tmpfs(target: string, fields: ReadonlyMap<string, string>, bad: (why: string) => TsbuildError): TmpfsMount {
  const [size, mode] = [fields.get('size'), fields.get('mode')];
  if (mode !== undefined && !/^[0-7]{1,4}$/.test(mode)) throw bad(`mode ${JSON.stringify(mode)} is no octal number`);
  const id = (key: 'uid' | 'gid'): { readonly uid?: number; readonly gid?: number } => {
    const text = fields.get(key);
    if (text === undefined) return {};
    if (!/^\d{1,9}$/.test(text)) throw bad(`${key} ${JSON.stringify(text)} is no id`);
    return { [key]: Number(text) };
  };
  const words: Pick<TmpfsMount, 'noexec' | 'readonly'> = {};
  for (const word of fields.keys()) Object.assign(words, TMPFS_WORDS.get(word));
  return {
    type: 'tmpfs',
    target,
    // As with docker, programs in it cannot be executed unless it says so.
    noexec: true,
    ...words,
    ...id('uid'),
    ...id('gid'),
    ...(size === undefined ? {} : { size: sizeOf(size, bad) }),
    ...(mode === undefined ? {} : { mode: Number.parseInt(mode, 8) }),
  };
}

function sizeOf(text: string, bad: (why: string) => TsbuildError): number {
  try {
    return parseSize(text);
  } catch {
    throw bad(`${JSON.stringify(text)} is no size, for example 64m`);
  }
}

/** Whether `--device` has the name of a device (`vendor/class=name`), and not its path. */
export function namesDevice(text: string): boolean {
  return /^[\w.-]+\/[\w.-]+=/.test(text);
}

/** Whether there are devices that are known by their names, which few have: what finds them is loaded for these. */
export function hasNamedDevices({ device = [], gpus }: Pick<MountOptions, 'device' | 'gpus'>): boolean {
  return gpus !== undefined || device.some(namesDevice);
}

/**
 * `--device /dev/x[:/dev/y][:rwm]`. What may be done with it is up to its owner and mode, as with podman of an ordinary user, but what is no
 * word for that is a mistake.
 */
function deviceOf(text: string): MountSpec {
  const [source = '', ...words] = text.split(':');
  const bad = (why: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use --device ${JSON.stringify(text)}: ${why}`);
  const isMode = (word: string | undefined): boolean => word !== undefined && /^[rwm]{1,3}$/.test(word);
  const target = words[0] === undefined || isMode(words[0]) ? source : words[0];
  const rest = words.slice(isMode(words[0]) ? 0 : 1);
  if (rest.length > 1 || (rest.length === 1 && !isMode(rest[0]))) throw bad('expected /dev/x[:/dev/y][:rwm]');
  if (!existsSync(source)) throw bad(`"${source}" does not exist`);
  return { type: 'device', source, target: checkTarget(target, bad) };
}
