import type { Platform } from '../image/index.ts';
import { compareUtf8 } from './codec.ts';
import type { EnvList } from './env.ts';
import {
  type AnyOutput,
  InputList,
  type MarshalContext,
  makeOp,
  Node,
  type OpOptions,
  Output,
  resolveOutput,
} from './node.ts';
import type {
  CacheSharing,
  CdiDevice,
  ContentCache,
  HostIp,
  Mount,
  NetworkMode,
  Op,
  ProxyEnv,
  SecurityMode,
  Ulimit,
} from './ops.ts';

/** A mount of a step other than its root. */
export interface MountOptions {
  readonly dest: string;
  /** Undefined is an empty file system. */
  readonly source?: AnyOutput | undefined;
  readonly selector?: string;
  readonly readonly?: boolean;
  /** Writes are thrown away. */
  readonly noOutput?: boolean;
  readonly cache?: { readonly id: string; readonly sharing: CacheSharing };
  /** `size` in bytes, 0 for no limit. */
  readonly tmpfs?: { readonly size: number };
  readonly contentCache?: ContentCache;
}

/** A secret for a step: as a file, as a variable, or both. */
export interface SecretMount {
  readonly id: string;
  /** Path of the file; absent when the secret is in the environment only. */
  readonly target?: string | undefined;
  /** Name of the environment variable. */
  readonly env?: string | undefined;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly optional: boolean;
}

/** A socket of an SSH agent for a step. */
export interface SshMount {
  readonly id: string;
  /** Path of the socket; empty for `/run/buildkit/ssh_agent.<n>`. */
  readonly target: string;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly optional: boolean;
}

/** Everything that a step observes. */
export interface ExecSpec {
  readonly args: readonly string[];
  readonly env: EnvList;
  readonly cwd: string;
  readonly user: string;
  readonly hostname: string;
  readonly network: NetworkMode;
  readonly security: SecurityMode;
  readonly extraHosts: readonly HostIp[];
  readonly ulimits: readonly Ulimit[];
  readonly cgroupParent: string;
  readonly validExitCodes: readonly number[];
  readonly proxyEnv?: ProxyEnv | undefined;
  readonly readonlyRoot: boolean;
  readonly mounts: readonly MountOptions[];
  readonly secrets: readonly SecretMount[];
  readonly ssh: readonly SshMount[];
  readonly devices: readonly CdiDevice[];
}

/** An exec op under construction. */
export class ExecNode extends Node {
  readonly #spec: ExecSpec;
  readonly #platform: Platform | undefined;
  /** Root included, in the order in which they are marshalled. */
  readonly #mounts: readonly MountOptions[];
  readonly #root: MountOptions;

  constructor(root: AnyOutput | undefined, spec: ExecSpec, platform: Platform | undefined, options: OpOptions) {
    super(options);
    this.#spec = spec;
    this.#platform = options.platform ?? platform;
    this.#root = { dest: '/', source: root, readonly: spec.readonlyRoot };
    this.#mounts = [this.#root, ...spec.mounts].sort((a, b) => compareUtf8(a.dest, b.dest));
  }

  /** The root file system after the step. */
  rootOutput(): AnyOutput | undefined {
    return this.#spec.readonlyRoot ? this.#root.source : this.#outputOf(this.#root);
  }

  /**
   * What a writable mount of the step holds afterwards; the mount's own source when it was read-only.
   * @throws Error for a mount of which nothing is kept: a cache, a tmpfs, or one whose writes are thrown away
   */
  mountOutput(mount: MountOptions): AnyOutput | undefined {
    return mount.readonly ? mount.source : this.#outputOf(mount);
  }

  #outputOf(mount: MountOptions): Output {
    const index = this.#mounts.filter(hasOutput).indexOf(mount);
    if (index < 0) throw new Error(`Cannot build upon mount "${mount.dest}" of a step: nothing is kept of it`);
    return new Output(this, { index: () => index, platform: this.#platform });
  }

  inputs(): readonly (Output | undefined)[] {
    return this.#mounts.map((mount) => resolveOutput(mount.source));
  }

  toOp(context: MarshalContext): Op {
    const spec = this.#spec;
    const inputs = new InputList();
    let outputs = 0;
    const mounts = this.#mounts.map((mount): Mount => ({
      ...plainMount(mount.dest),
      input: inputs.add(context.input(resolveOutput(mount.source))),
      selector: mount.selector ?? '',
      output: hasOutput(mount) ? outputs++ : -1,
      readonly: mount.readonly ?? false,
      ...(mount.cache ? { type: 'cache', cache: mount.cache } : {}),
      ...(mount.tmpfs ? { type: 'tmpfs', tmpfs: mount.tmpfs } : {}),
      contentCache: mount.contentCache ?? 'default',
    }));
    const ssh = spec.ssh.map((mount, index) => ({
      ...mount,
      target: mount.target || `/run/buildkit/ssh_agent.${index}`,
    }));
    for (const { id, uid, gid, mode, optional, target } of spec.secrets) {
      if (target !== undefined) {
        mounts.push({ ...plainMount(target), type: 'secret', secret: { id, uid, gid, mode, optional } });
      }
    }
    for (const { id, uid, gid, mode, optional, target } of ssh) {
      mounts.push({ ...plainMount(target), type: 'ssh', ssh: { id, uid, gid, mode, optional } });
    }
    const firstSocket = ssh[0];
    const env =
      firstSocket && !spec.env.has('SSH_AUTH_SOCK') ? spec.env.set('SSH_AUTH_SOCK', firstSocket.target) : spec.env;
    return makeOp(
      {
        kind: 'exec',
        meta: {
          args: spec.args,
          env: env.toArray(),
          cwd: spec.cwd,
          user: spec.user,
          ...(spec.proxyEnv === undefined ? {} : { proxyEnv: spec.proxyEnv }),
          extraHosts: spec.extraHosts,
          hostname: spec.hostname,
          ulimits: spec.ulimits,
          cgroupParent: spec.cgroupParent,
          removeMountStubsRecursive: true,
          validExitCodes: spec.validExitCodes,
        },
        mounts,
        network: spec.network,
        security: spec.security,
        secretEnv: spec.secrets.flatMap(({ id, env: name, optional }) =>
          name === undefined ? [] : [{ id, name, optional }],
        ),
        cdiDevices: spec.devices,
      },
      inputs.list,
      this.#platform ?? context.platform,
    );
  }

  caps(): readonly string[] {
    const spec = this.#spec;
    const mounts = this.#mounts;
    const wanted: readonly (readonly [boolean, string])[] = [
      [true, 'exec.meta.base'],
      [true, 'exec.meta.setsdefaultpath'],
      [mounts.some((mount) => mount.source !== undefined && !mount.cache && !mount.tmpfs), 'exec.mount.bind'],
      [mounts.some((mount) => mount.selector), 'exec.mount.selector'],
      [mounts.some((mount) => mount.cache), 'exec.mount.cache'],
      [mounts.some((mount) => mount.cache), 'exec.mount.cache.sharing'],
      [mounts.some((mount) => mount.tmpfs), 'exec.mount.tmpfs'],
      [mounts.some((mount) => mount.tmpfs && mount.tmpfs.size > 0), 'exec.mount.tmpfs.size'],
      [mounts.some((mount) => (mount.contentCache ?? 'default') !== 'default'), 'exec.mount.cache.content'],
      [spec.secrets.length > 0, 'exec.mount.secret'],
      [spec.secrets.some((secret) => secret.env !== undefined), 'exec.secretenv'],
      [spec.ssh.length > 0, 'exec.mount.ssh'],
      [spec.devices.length > 0, 'exec.meta.cdi'],
      [spec.ulimits.length > 0, 'exec.meta.ulimit'],
      [spec.validExitCodes.length > 0, 'exec.validexitcode'],
      [spec.network !== 'sandbox', 'exec.meta.network'],
      [spec.security !== 'sandbox', 'exec.meta.security'],
      [spec.proxyEnv !== undefined, 'exec.meta.proxyenv'],
      [this.options.linuxResources !== undefined, 'exec.meta.linux.resources'],
    ];
    return wanted.filter(([needed]) => needed).map(([, cap]) => cap);
  }
}

function hasOutput(mount: MountOptions): boolean {
  return !mount.noOutput && !mount.readonly && !mount.cache && !mount.tmpfs;
}

function plainMount(dest: string): Mount {
  return {
    type: 'bind',
    input: -1,
    selector: '',
    dest,
    output: 0,
    readonly: false,
    resultId: '',
    contentCache: 'default',
  };
}
