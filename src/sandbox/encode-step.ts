import { existsSync } from 'node:fs';
import { TsbuildError } from '../util/index.ts';
import { ALL_CAPABILITIES, capabilityMask } from './capabilities.ts';
import { hostsFile } from './network-files.ts';
import type { FileMount, MountSpec, NamespacePlan, StepSpec, StepTree, Ulimit } from './types.ts';

/** What the helper needs to know beside the step itself. */
export interface EncodeOptions {
  readonly plan: Pick<NamespacePlan, 'idShift' | 'idCount' | 'how' | 'copies' | 'proc' | 'owners'>;
  /** The compiled seccomp filter, see `seccompFilterPath`. */
  readonly seccompPath: string;
  /** An empty directory that steps cannot see: where namespace A has the formats of emulators. Without it there are none. */
  readonly formatsDir?: string;
  /**
   * An empty directory that steps cannot see, where the helper puts the file systems of steps together. With it, the helper may make ready what
   * the next step has in common with this one. Default: the step's work directory.
   */
  readonly place?: string;
  /** Where the step's files are, for plans with `copies`. */
  readonly tree?: StepTree;
}

const UNLIMITED = 0xffff_ffff_ffff_ffffn;

/** Numbers of RLIMIT_* on Linux (mips and sparc differ, and are not supported). */
const RESOURCES: Readonly<Record<string, number>> = {
  cpu: 0, fsize: 1, data: 2, stack: 3, core: 4, rss: 5, nproc: 6, nofile: 7, memlock: 8, as: 9, locks: 10, sigpending: 11,
  msgqueue: 12, nice: 13, rtprio: 14, rttime: 15,
}; // oxfmt-ignore

/** Names of limits of a process, `Ulimit.name`, by their numbers. */
export const ULIMITS: readonly string[] = Object.keys(RESOURCES);

/**
 * The step as the helper reads it (native/src/spec.c): pairs of key and value, each a 4-byte little-endian length and bytes.
 * @throws TsbuildError `TSB_SANDBOX` for values that cannot be given to a process (NUL bytes) and unknown limits.
 */
export function encodeStep(spec: StepSpec, options: EncodeOptions): Buffer {
  const fields = new Fields();
  const bare = options.plan.how === 'none';
  addSurroundings(fields, spec, options);
  // A group is the one step's, and so is what was registered for it.
  const recurs =
    options.place !== undefined && !bare && spec.emulator === undefined && (spec.cgroups ?? []).length === 0;
  if (recurs) fields.add('step', true);
  const tree = options.plan.copies ? requireTree(options) : undefined;
  if (tree === undefined) for (const lower of spec.lowers) fields.add('lower', lower);
  else addTree(fields, tree, bare);
  fields.add('prepare-upper', spec.prepareUpper ?? false);
  if (spec.discard) fields.add('discard', true);
  fields
    .add('upper', spec.upper)
    .add('work', spec.work)
    .add('readonly-root', spec.readonlyRoot ?? false);
  for (const arg of spec.args) fields.add('arg', arg);
  for (const variable of spec.env) fields.add('env', variable);
  fields.add('cwd', spec.cwd).add('user', spec.user);
  for (const group of spec.groups ?? []) fields.add('group', group);
  const insecure = spec.security === 'insecure';
  fields
    .add('capabilities', insecure ? ALL_CAPABILITIES : capabilityMask(spec.capAdd ?? [], spec.capDrop ?? []))
    .add('no-new-privileges', spec.noNewPrivileges ?? false)
    .add('init', spec.init ?? false)
    .add('hold', spec.hold ?? false);
  // Before the others: who sets nproc by name means it.
  // Without a namespace it would count all that the user runs on the machine.
  fields.add('process-limit', bare ? 0 : (spec.processLimit ?? 0));
  for (const ulimit of spec.ulimits ?? []) fields.add('limit', encodeLimit(ulimit));
  const mounts = orderMounts([...networkMounts(spec), ...memoryMounts(spec), ...(spec.mounts ?? [])]);
  for (const mount of mounts) {
    addMount(fields, mount);
    if (tree !== undefined && mount.type === 'layers')
      fields.add('m.tree', mountTree(tree, spec.mounts?.indexOf(mount) ?? -1));
  }
  return fields.end();
}

/** What the step's namespaces, its /proc, /dev and /sys follow from. Nothing secret may be in it: the helper keeps it for the next step. */
function addSurroundings(
  fields: Fields,
  spec: StepSpec,
  { plan, seccompPath, formatsDir, place }: EncodeOptions,
): void {
  const insecure = spec.security === 'insecure';
  const { emulator } = spec;
  // What has the ids of namespace A as they are gets a user namespace of its own all the same.
  fields.add('nest', true).add('shift', plan.idShift).add('id-count', plan.idCount);
  if (plan.owners !== undefined) fields.add('fakes', true);
  if (plan.proc !== undefined) fields.add('proc', plan.proc);
  if (place !== undefined) fields.add('place', place);
  fields.add('hostname', spec.hostname).add('shm-size', spec.shmSize ?? 64 * 2 ** 20);
  fields.add('private-network', spec.network === 'none').add('insecure', insecure);
  if (spec.network === 'isolated' || spec.network === 'proxied') fields.add('network', networkPathOf(spec));
  if (!insecure && spec.unfiltered !== true) fields.add('seccomp', seccompPath);
  fields.add('unfiltered', spec.unfiltered ?? false).add('unmasked', spec.unmasked ?? false);
  fields.add('tty', spec.tty ?? false).add('stdin', spec.stdin ?? false);
  addShared(fields, spec);
  if (spec.keepIds !== undefined && plan.owners !== undefined)
    throw new TsbuildError(
      'TSB_SANDBOX',
      'Cannot keep your id: without subordinate ids there is one id for everybody',
      {
        hint: 'leave --userns=keep-id out: files that a container makes are yours here',
      },
    );
  if (spec.keepIds !== undefined) fields.add('keep-uid', spec.keepIds.uid).add('keep-gid', spec.keepIds.gid);
  if (emulator !== undefined && formatsDir !== undefined)
    fields
      .add('emulator', emulator.name)
      .add('e.directory', formatsDir)
      .add('e.interpreter', emulator.interpreter)
      .add('e.rule', emulator.rule);
  const sysctls = Object.entries(spec.sysctls ?? {});
  if (plan.how === 'none' && sysctls.length > 0)
    throw new TsbuildError('TSB_SANDBOX', `Cannot set ${sysctls[0]?.[0]}: this machine allows no namespaces`, {
      hint: 'leave --sysctl out; "tsbuild doctor" says what would lift the limit',
    });
  for (const [name, value] of sysctls) fields.add('sysctl', `${name.replaceAll('.', '/')}=${value}`);
  for (const group of spec.cgroups ?? []) fields.add('cgroup', group);
}

/** Namespaces that are not the step's own. */
function addShared(fields: Fields, { processes, ipc, uts }: StepSpec): void {
  if (processes === 'host') fields.add('host-processes', true);
  else if (processes !== undefined)
    fields.add('pid-namespace', `${processes.directory}/pid`).add('user-namespace', `${processes.directory}/user`);
  if (ipc === 'host') fields.add('host-ipc', true);
  else if (ipc === 'none') fields.add('no-ipc', true);
  else if (typeof ipc === 'object') fields.add('ipc-namespace', `${ipc.directory}/ipc`);
  if (uts === 'host') fields.add('host-uts', true);
}

/** Memory that is shared with others has names in file systems, which have to be the same ones. */
function memoryMounts({ ipc }: StepSpec): readonly MountSpec[] {
  const directory = ipc === 'host' ? '/dev' : typeof ipc === 'object' ? ipc.directory : undefined;
  if (directory === undefined) return [];
  return ['shm', 'mqueue'].flatMap((name): readonly MountSpec[] => {
    const source = `${directory}/${name}`;
    // Of the machine's, a container around it may lack one.
    return ipc === 'host' && !existsSync(source) ? [] : [{ type: 'bind', source, target: `/dev/${name}` }];
  });
}

function requireTree({ tree }: EncodeOptions): StepTree {
  if (tree === undefined) throw new TsbuildError('TSB_INTERNAL', 'A step has no place for the copies of its layers');
  return tree;
}

/** Where the files of a step's root are. */
export function rootTree({ dir }: Pick<StepTree, 'dir'>): string {
  return `${dir}/root`;
}

/** Where the files of a stack are. @param index among the mounts of the step */
export function mountTree({ dir }: Pick<StepTree, 'dir'>, index: number): string {
  return `${dir}/mount-${index}`;
}

function addTree(fields: Fields, tree: StepTree, bare: boolean): void {
  fields
    .add('tree', rootTree(tree))
    .add('tree-state', `${tree.dir}/state`)
    .add('aside', `${tree.dir}/aside`)
    .add('bare', bare);
  if (tree.stays) fields.add('keep-trees', true);
  for (const layer of tree.apply) fields.add('tree-layer', layer);
}

/** Pairs of key and value as the helper reads them, ended by `end`. */
export function encodeFields(pairs: Iterable<readonly [string, string | number | boolean]>): Buffer {
  const fields = new Fields();
  for (const [key, value] of pairs) fields.add(key, value);
  return fields.end();
}

/** Without a namespace to join, a step would be in whatever network the helper is in. */
function networkPathOf({ networkPath }: StepSpec): string {
  if (networkPath === undefined) throw new TsbuildError('TSB_INTERNAL', 'A step in a network of its own has none');
  return networkPath;
}

/** Parents before what lies beneath them; the order of mounts at one depth stays. */
function orderMounts(mounts: readonly MountSpec[]): readonly MountSpec[] {
  const depth = (mount: MountSpec): number => mount.target.split('/').filter(Boolean).length;
  return mounts.toSorted((a, b) => depth(a) - depth(b));
}

function networkMounts(spec: StepSpec): readonly FileMount[] {
  const readonly = spec.ownsNames !== true || spec.readonlyRoot === true;
  const taken = new Set(spec.mounts?.map((mount) => mount.target.replace(/(?<!\/)\/+$/, '')));
  const file = (target: string, text: string): readonly FileMount[] =>
    taken.has(target) ? [] : [{ type: 'file', target, data: Buffer.from(text), mode: 0o644, readonly }];
  return [
    ...(spec.ownsNames ? file('/etc/hostname', `${spec.hostname}\n`) : []),
    ...file('/etc/hosts', spec.hosts ?? hostsFile(spec.hostname, spec.extraHosts ?? [])),
    ...(spec.resolvConf === undefined ? [] : file('/etc/resolv.conf', spec.resolvConf)),
  ];
}

function addMount(fields: Fields, mount: MountSpec): void {
  fields.add('mount', mount.type === 'socket' ? 'bind' : mount.type).add('m.target', mount.target);
  switch (mount.type) {
    case 'bind':
      fields.add('m.source', mount.source).add('m.readonly', mount.readonly ?? false);
      if (mount.subpath !== undefined) fields.add('m.subpath', mount.subpath);
      if (mount.fill) fields.add('m.fill', true);
      if (mount.movable) fields.add('m.movable', true);
      break;
    case 'device':
      fields.add('m.source', mount.source);
      break;
    case 'layers':
      for (const lower of mount.lowers) fields.add('m.lower', lower);
      fields.add('m.readonly', mount.readonly ?? false);
      if (mount.upper !== undefined) fields.add('m.upper', mount.upper);
      if (mount.work !== undefined) fields.add('m.work', mount.work);
      if (mount.subpath !== undefined) fields.add('m.subpath', mount.subpath);
      break;
    case 'tmpfs':
      fields.add('m.mode', mount.mode ?? 0o1777);
      if (mount.size !== undefined) fields.add('m.size', mount.size);
      if (mount.uid !== undefined) fields.add('m.uid', mount.uid);
      if (mount.gid !== undefined) fields.add('m.gid', mount.gid);
      if (mount.noexec) fields.add('m.noexec', true);
      if (mount.readonly) fields.add('m.readonly', true);
      break;
    case 'socket':
      fields.add('m.source', mount.source);
      break;
    case 'file':
      fields.add('m.data', mount.data).add('m.mode', mount.mode ?? 0o400);
      fields
        .add('m.uid', mount.uid ?? 0)
        .add('m.gid', mount.gid ?? 0)
        .add('m.readonly', mount.readonly ?? true);
      break;
    default:
      mount satisfies never;
  }
}

function encodeLimit(ulimit: Ulimit): string {
  const name = ulimit.name.toLowerCase();
  const resource = Object.hasOwn(RESOURCES, name) ? RESOURCES[name] : undefined;
  if (resource === undefined)
    throw new TsbuildError('TSB_USAGE', `Cannot set limit "${ulimit.name}": there is no such limit`, {
      hint: `the limits are: ${Object.keys(RESOURCES).join(', ')}`,
    });
  const value = (limit: number): bigint => (limit < 0 ? UNLIMITED : BigInt(limit));
  return `${resource}:${value(ulimit.soft)}:${value(ulimit.hard)}`;
}

/** Written in one piece: a step of many layers has hundreds of fields, and a buffer for each took a tenth of the time of all that comes before it starts. */
class Fields {
  #buffer = Buffer.allocUnsafeSlow(8192);
  #used = 0;

  add(key: string, value: string | number | bigint | boolean | Uint8Array): this {
    if (typeof value === 'string' && value.includes('\0'))
      throw new TsbuildError('TSB_SANDBOX', `Cannot start the step: its ${key} contains a NUL byte`);
    this.#text(key);
    if (value instanceof Uint8Array) this.#bytes(value);
    else this.#text(typeof value === 'boolean' ? (value ? '1' : '0') : String(value));
    return this;
  }

  end(): Buffer {
    this.#text('end');
    return this.#buffer.subarray(0, this.#used);
  }

  #text(text: string): void {
    // No more bytes in UTF-8 for each of its units.
    this.#reserve(4 + text.length * 3);
    const length = this.#buffer.write(text, this.#used + 4);
    this.#buffer.writeUInt32LE(length, this.#used);
    this.#used += 4 + length;
  }

  #bytes(bytes: Uint8Array): void {
    this.#reserve(4 + bytes.length);
    this.#buffer.writeUInt32LE(bytes.length, this.#used);
    this.#buffer.set(bytes, this.#used + 4);
    this.#used += 4 + bytes.length;
  }

  #reserve(length: number): void {
    if (this.#used + length <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(2 * (this.#used + length));
    larger.set(this.#buffer.subarray(0, this.#used));
    this.#buffer = larger;
  }
}
