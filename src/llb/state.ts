import { normalizePlatform, type Platform } from '../image/index.ts';
import { EnvList } from './env.ts';
import { ExecNode, type MountOptions, type SecretMount, type SshMount } from './exec-node.ts';
import { FileNode, type PendingAction } from './file-node.ts';
import { joinPath } from './go-path.ts';
import { MergeNode } from './merge-node.ts';
import { type AnyOutput, type OpOptions, Output } from './node.ts';
import type { CdiDevice, HostIp, NetworkMode, ProxyEnv, SecurityMode, Ulimit } from './ops.ts';

/** What a state carries beside its tree; steps run with it. */
export interface StateMeta {
  readonly env: EnvList;
  /** Absolute. */
  readonly dir: string;
  readonly user: string;
  readonly hostname: string;
  readonly network: NetworkMode;
  readonly security: SecurityMode;
  readonly extraHosts: readonly HostIp[];
  readonly ulimits: readonly Ulimit[];
  readonly cgroupParent: string;
  readonly platform?: Platform | undefined;
}

/** What BuildKit's client starts from; a base image's config is laid over it. */
const DEFAULT_META: StateMeta = {
  env: EnvList.empty,
  dir: '/',
  user: '',
  hostname: '',
  network: 'sandbox',
  security: 'sandbox',
  extraHosts: [],
  ulimits: [],
  cgroupParent: '',
};

/** One step. */
export interface RunOptions extends OpOptions {
  readonly args: readonly string[];
  readonly mounts?: readonly MountOptions[];
  readonly secrets?: readonly SecretMount[];
  readonly ssh?: readonly SshMount[];
  readonly devices?: readonly CdiDevice[];
  readonly proxyEnv?: ProxyEnv | undefined;
  readonly validExitCodes?: readonly number[];
  readonly readonlyRoot?: boolean;
  /** Overrides what the state says, for this step only. */
  readonly meta?: Partial<StateMeta>;
}

/**
 * A file tree that is yet to be made, and the surroundings in which steps on it run. Immutable: every method gives a new
 * state. Nothing happens until it is marshalled and solved.
 */
export class State {
  /** Undefined is scratch, the empty tree. */
  readonly output: AnyOutput | undefined;
  readonly meta: StateMeta;

  constructor(output?: AnyOutput, meta: StateMeta = DEFAULT_META) {
    this.output = output;
    this.meta = meta;
  }

  /** A tree with the surroundings that all start with; the platform is the output's, where it has one. */
  static of(output: AnyOutput | undefined): State {
    return new State(output, withPlatform(DEFAULT_META, output));
  }

  /** The same surroundings on another tree. */
  withOutput(output: AnyOutput | undefined): State {
    return new State(output, withPlatform(this.meta, output));
  }

  /** The same tree with other surroundings. */
  with(meta: Partial<StateMeta>): State {
    return new State(this.output, { ...this.meta, ...meta });
  }

  /** With one more variable for the steps to come. */
  addEnv(key: string, value: string): State {
    return this.addEnvs([[key, value]]);
  }

  /** With several more variables, one after the other. */
  addEnvs(entries: Iterable<readonly [string, string]>): State {
    return this.with({ env: this.meta.env.setAll(entries) });
  }

  /** A relative directory is taken from the present one. */
  dir(path: string): State {
    return this.with({ dir: path.startsWith('/') ? path : joinPath(this.meta.dir || '/', path) });
  }

  /** With another user for the steps to come. */
  user(user: string): State {
    return this.with({ user });
  }

  platform(platform: Platform): State {
    return this.with({ platform: normalizePlatform(platform) });
  }

  /** Runs a process with this tree as its root; the result is the tree afterwards. */
  run(options: RunOptions): State {
    return this.withOutput(this.exec(options).rootOutput());
  }

  /** Like `run`, for callers that also want what writable mounts hold afterwards. */
  exec(options: RunOptions): ExecNode {
    const { args, mounts, secrets, ssh, devices, proxyEnv, validExitCodes, readonlyRoot, meta, ...rest } = options;
    const all = { ...this.meta, ...meta };
    return new ExecNode(
      this.output,
      {
        args,
        env: all.env,
        cwd: all.dir,
        user: all.user,
        hostname: all.hostname,
        network: all.network,
        security: all.security,
        extraHosts: all.extraHosts,
        ulimits: all.ulimits,
        cgroupParent: all.cgroupParent,
        validExitCodes: validExitCodes ?? [],
        proxyEnv,
        readonlyRoot: readonlyRoot ?? false,
        mounts: mounts ?? [],
        secrets: secrets ?? [],
        ssh: ssh ?? [],
        devices: devices ?? [],
      },
      all.platform,
      rest,
    );
  }

  /** Changes the tree by file actions, one after the other. */
  file(actions: readonly PendingAction[], options: OpOptions = {}): State {
    return this.withOutput(new Output(new FileNode(this.output, this.meta.dir, actions, options)));
  }
}

function withPlatform(meta: StateMeta, output: AnyOutput | undefined): StateMeta {
  const platform = output instanceof Output ? output.platform : undefined;
  return platform === undefined ? meta : { ...meta, platform: normalizePlatform(platform) };
}

/** The empty tree. */
export function scratch(): State {
  return new State();
}

/** Lays trees on top of each other, later ones win. Keeps the surroundings of the first that is not scratch. */
export function merge(states: readonly State[], options: OpOptions = {}): State {
  const present = states.filter((state) => state.output !== undefined);
  const first = present[0];
  if (first === undefined) return scratch();
  if (present.length === 1) return first;
  const outputs = present.map((state) => state.output).filter((output): output is AnyOutput => output !== undefined);
  return first.withOutput(new Output(new MergeNode(outputs, options)));
}
