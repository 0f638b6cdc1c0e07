import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { isVolumeName, Volumes } from '../../containers/index.ts';
import type { Session } from '../../engine/index.ts';
import type { ImageConfig } from '../../image/index.ts';
import { parseVolume } from '../../runtime/index.ts';
import type { MountSpec } from '../../sandbox/index.ts';
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
  ): Promise<MountSpec> => {
    const { idShift } = await session.plan();
    const volume = volumes.ensure(name, idShift);
    return { type: 'bind', source: volume.directory, target, readonly: isReadonly, volume: volume.name, fill };
  };
  const mounts: MountSpec[] = [];
  for (const text of options.volume ?? []) mounts.push(await volumeOf(text, cwd, makeVolume));
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

type MakeVolume = (name: string | undefined, target: string, isReadonly: boolean, fill: boolean) => Promise<MountSpec>;

/** `-v NAME:/path[:ro]`, `-v /path`, or a path of the machine. */
async function volumeOf(text: string, cwd: string, makeVolume: MakeVolume): Promise<MountSpec> {
  const [first = '', target, options = '', ...rest] = text.split(':');
  const bad = (why: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use volume ${JSON.stringify(text)}: ${why}`);
  if (target === undefined) {
    if (!isAbsolute(first)) throw bad('expected NAME:/path, /machine/path:/path or /path');
    return makeVolume(undefined, checkTarget(first, bad), false, true);
  }
  if (isAbsolute(first) || first.startsWith('.') || rest.length > 0 || first === '') return parseVolume(text, cwd);
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
  ['volume', ['source', 'readonly', 'volume-nocopy', 'consistency']],
  ['tmpfs', ['size', 'mode']],
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
  if (type === 'tmpfs') return tmpfs(target, fields.get('size'), fields.get('mode'), bad);
  if (type === 'volume') {
    if (source !== undefined && !isVolumeName(source)) throw bad(`${JSON.stringify(source)} is no name of a volume`);
    return makeVolume(source, target, isReadonly, fields.get('volume-nocopy') !== 'true');
  }
  if (source === undefined) throw bad('the source is missing');
  const path = resolve(cwd, source);
  if (!existsSync(path)) throw bad(`"${path}" does not exist`);
  return { type: 'bind', source: path, target, readonly: isReadonly };
}

/** `--tmpfs /path[:size=…,mode=…]` */
function tmpfsOf(text: string): MountSpec {
  const bad = (why: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use --tmpfs ${JSON.stringify(text)}: ${why}`);
  const [target = '', options = ''] = text.split(':', 2);
  const fields = new Map(
    options
      .split(',')
      .filter(Boolean)
      .map((word) => [word.split('=')[0] ?? '', word.split('=')[1] ?? '']),
  );
  // What is always so, or says nothing here.
  const silent = new Set(['rw', 'nosuid', 'nodev', 'noexec', 'exec', 'noatime', 'relatime']);
  const unknown = [...fields.keys()].find((key) => key !== 'size' && key !== 'mode' && !silent.has(key));
  if (unknown !== undefined) throw bad(`there is no option ${JSON.stringify(unknown)}`);
  return tmpfs(checkTarget(target, bad), fields.get('size'), fields.get('mode'), bad);
}

function tmpfs(
  target: string,
  size: string | undefined,
  mode: string | undefined,
  bad: (why: string) => TsbuildError,
): MountSpec {
  if (mode !== undefined && !/^[0-7]{1,4}$/.test(mode)) throw bad(`mode ${JSON.stringify(mode)} is no octal number`);
  return {
    type: 'tmpfs',
    target,
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
