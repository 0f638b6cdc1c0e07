import { decodeDefinition, decodeMessage, encodeDefinition, encodeMessage, type Fields } from '../llb/index.ts';
import { isTsbuildError, type TsbuildError } from '../util/index.ts';
import { CONTAINER_CAPABILITIES, FRONTEND_CAPABILITIES, LLB_CAPABILITIES } from './capabilities.ts';
import { Containers } from './containers.ts';
import { listDirectory, readFile, statFile } from './files.ts';
import type { UnaryHandler } from './grpc-server.ts';
import type { StreamHandler } from './grpc-stream.ts';
import type { FrontendResult, GatewayHost } from './host.ts';
import type { GatewayLimits } from './limits.ts';
import { healthResponseSchema, methods } from './messages.ts';
import { Processes } from './processes.ts';
import { References } from './references.ts';
import { frontendFailure } from './returned-error.ts';
import { decodePolicies } from './policies.ts';
import { resolveImage, resolveSource } from './sources.ts';
import { CallError, statusCodes, statusOfError } from './status.ts';
import type * as pb from './types.ts';
import { toWarning } from './warning.ts';

const SERVICE = '/moby.buildkit.v1.frontend.LLBBridge';
/** Errors that are remembered, to tell them again where they came from. */
const MAX_TOLD = 100;

/** What a frontend said at its end. */
export type Returned =
  | { readonly kind: 'result'; readonly result: FrontendResult; readonly hasAttestations: boolean }
  | { readonly kind: 'error'; readonly error: TsbuildError };

/**
 * BuildKit's LLBBridge service for one frontend: everything that it may call, and nothing else. What comes in is checked here; what it
 * comes to is the host's.
 */
export class LlbBridge implements AsyncDisposable {
  /** By path, for the server. */
  readonly handlers: ReadonlyMap<string, UnaryHandler>;
  /** The same for calls with messages both ways. */
  readonly streams: ReadonlyMap<string, StreamHandler>;
  readonly #host: GatewayHost;
  readonly #references: References;
  readonly #containers: Containers;
  readonly #limits: GatewayLimits;
  readonly #failures: { readonly message: string; readonly error: TsbuildError }[] = [];
  #warnings = 0;
  #returned: Returned | undefined;

  constructor(host: GatewayHost, limits: GatewayLimits) {
    this.#host = host;
    this.#limits = limits;
    this.#references = new References(host, limits);
    const references = this.#references;
    const containers = (this.#containers = new Containers(host, references, limits));
    this.handlers = new Map<string, UnaryHandler>([
      this.#unary('Ping', async () => this.#pong()),
      this.#unary('Solve', (request, signal) => this.#solve(request, signal)),
      this.#unary('ReadFile', (request, signal) => readFile(references.tree(request.ref), request, signal)),
      this.#unary('ReadDir', (request, signal) => listDirectory(references.tree(request.ref), request, signal)),
      this.#unary('StatFile', (request, signal) => statFile(references.tree(request.ref), request, signal)),
      this.#unary('Evaluate', async ({ ref }, signal) => {
        await references.tree(ref).evaluate(signal);
        return {};
      }),
      this.#unary('ResolveImageConfig', (request, signal) => resolveImage(host, request, signal)),
      this.#unary('ResolveSourceMeta', (request, signal) => resolveSource(host, request, signal)),
      this.#unary('Inputs', async () => ({
        definitions: new Map([...host.inputs].map(([name, definition]) => [name, encodeDefinition(definition)])),
      })),
      this.#unary('Warn', async (request) => {
        if (++this.#warnings <= limits.maxWarnings) host.warn(toWarning(request));
        return {};
      }),
      this.#unary('Return', async (request) => {
        this.#return(request);
        return {};
      }),
      this.#unary('NewContainer', async (request, signal) => {
        await containers.create(request, signal);
        return {};
      }),
      this.#unary('ReleaseContainer', async ({ containerId }) => {
        await containers.release(containerId);
        return {};
      }),
      this.#unary('ReadFileContainer', async (request, signal) =>
        readFile(await containers.files(request), request, signal),
      ),
      this.#unary('ReadDirContainer', async (request, signal) =>
        listDirectory(await containers.files(request), request, signal),
      ),
      this.#unary('StatFileContainer', async (request, signal) =>
        statFile(await containers.files(request), request, signal),
      ),
      ['/grpc.health.v1.Health/Check', async () => encodeMessage(healthResponseSchema, { status: 1 })],
    ]);
    const processes = new Processes(containers, host, limits);
    this.streams = new Map([
      [
        `${SERVICE}/ExecProcess`,
        async (call) => {
          try {
            await processes.converse(call);
          } catch (error) {
            throw this.#told(error);
          }
        },
      ],
    ]);
  }

  /** What the frontend said at its end; undefined when it has not. */
  get returned(): Returned | undefined {
    return this.#returned;
  }

  /** A method of the service, with its messages read and written and its failures remembered. */
  #unary<N extends keyof pb.Requests>(
    name: N,
    handle: (request: pb.Requests[N], signal: AbortSignal) => Promise<object>,
  ): [string, UnaryHandler] {
    const { request, response } = methods[name];
    const handler: UnaryHandler = async (bytes, signal) => {
      try {
        if (this.#returned !== undefined)
          throw new CallError(statusCodes.failedPrecondition, 'the frontend has returned its result already');
        const answer = await handle(decodeMessage(request, bytes) as unknown as pb.Requests[N], signal);
        const encoded = encodeMessage(response, answer as Fields);
        if (encoded.length > this.#limits.maxMessageBytes)
          throw new CallError(statusCodes.resourceExhausted, `the answer to ${name} has ${encoded.length} bytes`);
        return encoded;
      } catch (error) {
        throw this.#told(error);
      }
    };
    return [`${SERVICE}/${name}`, handler];
  }

  /** What a call is answered with that failed. */
  #told(error: unknown): CallError {
    const { status, message } = statusOfError(error);
    const told = this.#host.conceal(message);
    this.#remember(told, error);
    return new CallError(status, told, error);
  }

  /** So that a frontend that passes an error on need not say what was wrong as well as we can. */
  #remember(message: string, error: unknown): void {
    if (!isTsbuildError(error)) return;
    if (this.#failures.length >= MAX_TOLD) this.#failures.shift();
    this.#failures.push({ message, error });
  }

  /** Ends the containers that the frontend has left. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#containers[Symbol.asyncDispose]();
  }

  #pong(): object {
    const enabled = (ids: readonly string[]): readonly object[] => ids.map((id) => ({ id, enabled: true }));
    return {
      frontendApiCaps: enabled(
        this.#host.container === undefined
          ? FRONTEND_CAPABILITIES
          : [...FRONTEND_CAPABILITIES, ...CONTAINER_CAPABILITIES],
      ),
      llbCaps: enabled(LLB_CAPABILITIES),
      workers: [
        {
          id: 'tsbuild',
          labels: new Map(),
          platforms: this.#host.platforms.map(({ os, architecture, variant = '', osVersion = '' }) => ({
            os,
            architecture,
            variant,
            osVersion,
            osFeatures: [],
          })),
        },
      ],
    };
  }

  async #solve(request: pb.SolveRequest, signal: AbortSignal): Promise<object> {
    this.#references.count();
    if (request.final) throw unsupported('a result that is returned by Solve: the frontend is older than 2018');
    if (request.definition.length > 0 && request.frontend !== '')
      throw new CallError(statusCodes.invalidArgument, 'cannot solve with both Definition and Frontend specified');
    const result = request.frontend === '' ? this.#solveDefinition(request) : await this.#solveNested(request, signal);
    if (request.evaluate) await this.#evaluate(result.refs, signal);
    if (result.refs.kind === 'refs' && !request.allowResultReturn)
      throw new CallError(statusCodes.failedPrecondition, 'solve did not return default result');
    return {
      ref: request.allowResultReturn || result.refs.kind !== 'ref' ? '' : result.refs.id,
      result: {
        result: request.allowResultArrayRef ? result.refs : inOldForm(result.refs),
        metadata: result.metadata,
        attestations: new Map(),
      },
    };
  }

  #solveDefinition({ definition, sourcePolicies }: pb.SolveRequest): {
    readonly refs: pb.PbRefs;
    readonly metadata: FrontendResult['metadata'];
  } {
    const decoded = definition.length === 0 ? undefined : decodeDefinition(definition);
    return {
      refs: { kind: 'ref', ...this.#references.add(decoded, definition, decodePolicies(sourcePolicies)) },
      metadata: new Map(),
    };
  }

  async #solveNested(
    { frontend, frontendOpt, frontendInputs, sourcePolicies }: pb.SolveRequest,
    signal: AbortSignal,
  ): Promise<{ readonly refs: pb.PbRefs; readonly metadata: FrontendResult['metadata'] }> {
    const inputs = new Map([...frontendInputs].map(([name, bytes]) => [name, decodeDefinition(bytes)]));
    const policies = decodePolicies(sourcePolicies);
    const result = await this.#host.frontend({ name: frontend, options: frontendOpt, inputs, policies }, signal);
    return { refs: this.#references.addResult(result, encodeDefinition, policies), metadata: result.metadata };
  }

  async #evaluate(refs: pb.PbRefs, signal: AbortSignal): Promise<void> {
    const ids =
      refs.kind === 'refs' ? [...refs.refs.values()].map(({ id }) => id) : refs.kind === 'ref' ? [refs.id] : [];
    await Promise.all(ids.filter((id) => id !== '').map((id) => this.#references.tree(id).evaluate(signal)));
  }

  #return({ result, error }: pb.ReturnRequest): void {
    if ((result === undefined) === (error === undefined))
      throw new CallError(statusCodes.invalidArgument, 'gateway return must be either result or err');
    if (error !== undefined) {
      this.#returned = { kind: 'error', error: frontendFailure(error, this.#failures) };
      return;
    }
    if (result === undefined) return;
    this.#returned = {
      kind: 'result',
      result: { refs: this.#references.resolve(result.result), metadata: result.metadata },
      hasAttestations: result.attestations.size > 0,
    };
  }
}

/** As clients from before there were several references read it. */
function inOldForm(refs: pb.PbRefs): pb.PbRefs {
  if (refs.kind === 'ref') return { kind: 'refDeprecated', refDeprecated: refs.id };
  if (refs.kind !== 'refs') return refs;
  return { kind: 'refsDeprecated', refs: new Map([...refs.refs].map(([key, { id }]) => [key, id])) };
}

function unsupported(what: string): CallError {
  return new CallError(statusCodes.unimplemented, `tsbuild does not support ${what}`);
}
