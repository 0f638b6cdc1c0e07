import { isIP } from 'node:net';
import { type ExecOp, type Mount, validateContainer } from '../llb/index.ts';
import type { GatewayContainer } from './container.ts';
import type { FileTree } from './file-tree.ts';
import type { GatewayHost } from './host.ts';
import type { GatewayLimits } from './limits.ts';
import type { References } from './references.ts';
import { toPlatform } from './sources.ts';
import { CallError, statusCodes } from './status.ts';
import type { NewContainerRequest } from './types.ts';

/** Characters that an id may have: BuildKit's are of 25 and 51. */
export const MAX_ID = 256;

/** A container of a frontend, with the op that its programs start from. */
export interface KnownContainer {
  readonly exec: ExecOp;
  /** How many results are mounted. */
  readonly inputs: number;
  readonly container: GatewayContainer;
}

/** The containers of one frontend, by the ids that it gives them. What is left of them at the end goes with this. */
export class Containers implements AsyncDisposable {
  readonly #host: GatewayHost;
  readonly #references: References;
  readonly #limits: GatewayLimits;
  /** Those that are still being made, too: an id is taken at once. */
  readonly #known = new Map<string, Promise<KnownContainer>>();
  readonly #ended = new AbortController();

  constructor(host: GatewayHost, references: References, limits: GatewayLimits) {
    this.#host = host;
    this.#references = references;
    this.#limits = limits;
  }

  /** `NewContainer`. @throws CallError, and what making it gives */
  async create(request: NewContainerRequest, signal: AbortSignal): Promise<void> {
    const id = request.containerId;
    checkId(id, 'ContainerID');
    if (this.#known.has(id)) throw new CallError(statusCodes.alreadyExists, `Container ${id} already exists`);
    if (this.#known.size >= this.#limits.maxContainers)
      throw new CallError(
        statusCodes.resourceExhausted,
        `a frontend may have ${this.#limits.maxContainers} containers at a time`,
      );
    this.#ended.signal.throwIfAborted();
    const made = this.#make(request, AbortSignal.any([signal, this.#ended.signal]));
    this.#known.set(id, made);
    try {
      await made;
    } catch (error) {
      if (this.#known.get(id) === made) this.#known.delete(id);
      throw error;
    }
  }

  async #make(request: NewContainerRequest, signal: AbortSignal): Promise<KnownContainer> {
    const { container: make } = this.#host;
    if (make === undefined)
      throw new CallError(
        statusCodes.unimplemented,
        'containers of frontends (gateway.exec) cannot be had here: "tsbuild doctor" says what this machine lacks for them',
      );
    if (request.mounts.length > this.#limits.maxMounts)
      throw new CallError(
        statusCodes.resourceExhausted,
        `a container may have ${this.#limits.maxMounts} mounts, and this one has ${request.mounts.length}`,
      );
    const results = [...new Set(request.mounts.map(({ resultId }) => resultId).filter((name) => name !== ''))];
    const inputs = results.map((name) => this.#references.definition(name));
    const exec = opOf(request, results);
    validateContainer(exec, inputs.length);
    const container = await make({ exec, inputs, platform: toPlatform(request.platform) }, signal);
    if (!signal.aborted) return { exec, inputs: inputs.length, container };
    await container[Symbol.asyncDispose]();
    throw new CallError(statusCodes.canceled, 'the container is not wanted any more');
  }

  /** A container that is there. @throws CallError, and what making it gives */
  async get(id: string): Promise<KnownContainer> {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    throw new CallError(
      statusCodes.notFound,
      `container ${JSON.stringify(id.slice(0, MAX_ID))} previously released or not created`,
    );
  }

  /** The files at a mount of a container. @throws CallError */
  async files({ ref, mountIndex }: { readonly ref: string; readonly mountIndex: number }): Promise<FileTree> {
    const { exec, container } = await this.get(ref);
    const count = exec.mounts.length;
    if (mountIndex < 0 || mountIndex >= count)
      throw new CallError(statusCodes.outOfRange, `mount index ${mountIndex} is out of bounds (${count} available)`);
    return container.files(mountIndex);
  }

  /** `ReleaseContainer`: returns when nothing of it is left. @throws CallError */
  async release(id: string): Promise<void> {
    const known = this.get(id);
    this.#known.delete(id);
    const { container } = await known;
    await container[Symbol.asyncDispose]();
  }

  /** Ends what is left, and whatever is still being made. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort(new CallError(statusCodes.canceled, 'the frontend has ended'));
    const all = [...this.#known.values()];
    this.#known.clear();
    await Promise.all(
      all.map(async (made) => {
        const known = await made.catch(() => undefined);
        await known?.container[Symbol.asyncDispose]();
      }),
    );
  }
}

/** @throws CallError for what is no id */
export function checkId(id: string, name: string): void {
  if (id === '') throw new CallError(statusCodes.invalidArgument, `${name} required`);
  if (id.length > MAX_ID)
    throw new CallError(statusCodes.invalidArgument, `${name} is longer than ${MAX_ID} characters`);
}

/** An op that stands for the container: results are its inputs, and nothing is an output. */
function opOf({ mounts, network, extraHosts, hostname }: NewContainerRequest, results: readonly string[]): ExecOp {
  for (const { host, ip } of extraHosts)
    if (isIP(ip) === 0 || !/^[\w.-]+$/.test(host))
      throw new CallError(
        statusCodes.invalidArgument,
        `extra host ${JSON.stringify(host.slice(0, 100))} with address ${JSON.stringify(ip.slice(0, 100))} is none`,
      );
  return {
    kind: 'exec',
    meta: {
      // Each program has its own.
      args: ['container'],
      env: [],
      cwd: '/',
      user: '',
      extraHosts,
      hostname,
      ulimits: [],
      cgroupParent: '',
      removeMountStubsRecursive: false,
      validExitCodes: [],
    },
    mounts: mounts.map((mount): Mount => ({ ...mount, input: results.indexOf(mount.resultId), output: -1 })),
    network,
    security: 'sandbox',
    secretEnv: [],
    cdiDevices: [],
  };
}
