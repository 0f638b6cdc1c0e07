import type { Socket } from 'node:net';
import {
  frontendEnvironment,
  type FrontendResult,
  gatewayLimits,
  type GatewayHost,
  GrpcServer,
  LlbBridge,
  METADATA_FILE,
  socketPair,
} from '../../gateway/index.ts';
import { formatReference, hostPlatform, type ImageConfig, parseReference, withDefaultTag } from '../../image/index.ts';
import { encodeDefinition, image as imageState, marshal } from '../../llb/index.ts';
import { type ContainerEnd, runContainer } from '../../runtime/index.ts';
import type { SourcePolicies } from '../../source-policy/index.ts';
import { formatDuration, sanitizeLine, sha256, TsbuildError } from '../../util/index.ts';
import type { Task } from '../../events/index.ts';
import { checkImageDigest, IMAGE_SCHEME } from '../images/image-checksum.ts';
import { withImageHint } from '../images/image-hint.ts';
import { withInternalVertex } from '../internal-vertex.ts';
import { containerOf, type UnpackedImage } from '../images/open-image.ts';
import { policedImage } from './bridge.ts';
import type { BuildRequest } from '../request.ts';
import type { Session } from '../session.ts';

/** Label of an image: what its frontend can do, separated by commas. */
const CAPABILITIES_LABEL = 'moby.buildkit.frontend.caps';
const INPUTS_CAPABILITY = 'moby.buildkit.frontend.inputs';
/** Of what a frontend says on standard error, for the message of its failure. Bytes. */
const MAX_SAID = 4000;
/** How often it is looked at. Milliseconds. */
const WATCH_MS = 500;

/** A frontend image to run. */
export interface FrontendRun {
  /** The image, as written. */
  readonly source: string;
  readonly options: ReadonlyMap<string, string>;
  readonly host: GatewayHost;
  /** Hold for the image itself, too. */
  readonly policies: SourcePolicies;
}

/**
 * Runs a frontend image in a sandbox of its own, without network, and answers its calls until it has returned and ended. Nothing of it is
 * left then, however it ended.
 * @throws TsbuildError what it returned as its error; `TSB_STEP` when it failed without a word, `TSB_TIMEOUT` when it is stuck,
 * and what finding its image gives
 */
export async function runFrontend(
  session: Session,
  task: Task,
  request: BuildRequest,
  run: FrontendRun,
): Promise<FrontendResult> {
  // What a program makes of its files need not be the same the next time.
  session.witness.refuse();
  const unpacked = await openFrontend(session, task, run);
  const { config } = unpacked.image;
  checkInputs(run, config);
  return withInternalVertex(
    task,
    session.now,
    `[internal] run frontend ${run.source}`,
    async (vertex, _status, inner) => {
      await using container = await containerOf(session, unpacked);
      await using bridge = new LlbBridge(run.host, gatewayLimits);
      using talk = new Conversation(inner, bridge, run.source, request.stepTimeoutMs ?? gatewayLimits.idleMs);
      const directory = session.remote.temporary();
      const { ours, theirs } = await socketPair(directory);
      session.remote.discard(directory);
      talk.begin(ours);
      const end = await runContainer({
        ...container.runtime,
        config: {
          ...config,
          config: { ...config.config, Entrypoint: config.config.Entrypoint ?? ['/run'], Cmd: [], User: '' },
        },
        callerEnv: {},
        cwd: '/',
        hostname: request.hostname ?? 'buildkitsandbox',
        network: 'none',
        env: frontendEnvironment(run.options, vertex.slice(-25), run.host.platforms),
        mounts: [
          { type: 'file', target: METADATA_FILE, data: definitionOf(unpacked.image.ref, unpacked.image.digest) },
        ],
        attendsSignals: false,
        limiter: session.limiter,
        ...(request.processLimit === undefined ? {} : { processLimit: request.processLimit }),
        ...(request.resources === undefined ? {} : { resources: request.resources }),
        conversation: theirs,
        onOutput: (stream, data) => {
          talk.said(data);
          inner.events({ type: 'log', vertex, stream, data, at: session.now() });
        },
        signal: talk.signal,
      });
      const result = talk.conclude(end);
      if (result.hasAttestations)
        session.options.onWarning(
          `Attestations of frontend ${JSON.stringify(run.source)} are left out: images get none`,
        );
      return result.result;
    },
  );
}

/** Finds and unpacks the image, for this machine's platform. */
async function openFrontend(
  session: Session,
  task: Task,
  { source, policies }: Pick<FrontendRun, 'source' | 'policies'>,
): Promise<UnpackedImage> {
  const named = formatReference(withDefaultTag(parseReference(source)));
  const { reference, attrs } = policedImage(policies, { reference: named });
  const name = `${IMAGE_SCHEME}${reference}`;
  const image = await withInternalVertex(
    task,
    session.now,
    `resolve image config for ${name}`,
    (_vertex, _status, inner) =>
      session.images.resolve(inner, reference, hostPlatform()).catch((error: unknown) => {
        throw withImageHint(error, session.store, reference);
      }),
  );
  checkImageDigest(attrs, image);
  const ids = session.layers.adopt(image, { vertex: sha256(`tsbuild.frontend:${image.digest}`), name });
  return { image, ids, layers: await session.layers.directories(task, ids) };
}

/** What the image's own source op is, which a frontend may read. */
function definitionOf(reference: string, digest: string): Uint8Array {
  const name = reference.includes('@') ? reference : `${reference}@${digest}`;
  return encodeDefinition(marshal(imageState(name), { platform: hostPlatform() }));
}

/** @throws TsbuildError `TSB_DOCKERFILE` when a frontend would not look at what it is given */
function checkInputs({ source, host, options }: FrontendRun, { config }: ImageConfig): void {
  const has = new Set((config.Labels?.[CAPABILITIES_LABEL] ?? '').split(',').map((text) => text.trim()));
  const wanted = (options.get('frontend.caps') ?? '').split(',').filter((text) => text !== '');
  if (host.inputs.size > 0) wanted.push(INPUTS_CAPABILITY);
  const missing = wanted.find((name) => !has.has(name));
  if (missing === undefined) return;
  throw new TsbuildError(
    'TSB_DOCKERFILE',
    `Cannot build with frontend ${JSON.stringify(source)}: its image does not say that it can do ${JSON.stringify(missing)}`,
    missing === INPUTS_CAPABILITY ? { hint: 'unpack the context, and build from the directory' } : {},
  );
}

/** What goes back and forth with one frontend, and when that is over. */
class Conversation implements Disposable {
  readonly #task: Task;
  readonly #bridge: LlbBridge;
  readonly #source: string;
  readonly #idleMs: number;
  readonly #stop = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #server: GrpcServer | undefined;
  #connection: Socket | undefined;
  #returnedAt: number | undefined;
  #said = Buffer.alloc(0);

  constructor(task: Task, bridge: LlbBridge, source: string, idleMs: number) {
    this.#task = task;
    this.#bridge = bridge;
    this.#source = source;
    this.#idleMs = idleMs;
    this.#timer = setInterval(() => this.#watch(), Math.min(WATCH_MS, idleMs));
  }

  /** Ends the frontend when the build ends, or when it went on for too long. */
  get signal(): AbortSignal {
    return AbortSignal.any([this.#task.signal, this.#stop.signal]);
  }

  /** Listens to what its process will say. */
  begin(connection: Socket): void {
    this.#connection = connection;
    const { handlers, streams } = this.#bridge;
    this.#server = new GrpcServer(connection, { ...gatewayLimits, handlers, streams });
    void this.#server.ended.then((error) => {
      if (error !== undefined && this.#bridge.returned === undefined)
        this.#end('TSB_STEP', `it does not speak gRPC on its standard output: ${error.message}`, NO_FRONTEND);
    });
  }

  /** It has written to standard error. */
  said(data: Uint8Array): void {
    this.#said = Buffer.concat([this.#said, data]).subarray(-MAX_SAID);
  }

  /** A frontend that is stuck is ended. */
  #watch(): void {
    const now = performance.now();
    if (this.#bridge.returned !== undefined) {
      this.#returnedAt ??= now;
      if (now - this.#returnedAt > Math.min(gatewayLimits.exitMs, this.#idleMs))
        this.#end('TSB_STEP', 'it did not end after its result', NO_FRONTEND);
    } else if ((this.#server?.idleMs ?? 0) > this.#idleMs)
      this.#end(
        'TSB_TIMEOUT',
        `it asked for nothing for ${formatDuration(this.#idleMs)}, and returned no result`,
        '--step-timeout sets another limit',
      );
  }

  #end(code: 'TSB_STEP' | 'TSB_TIMEOUT', why: string, hint: string): void {
    this.#stop.abort(this.#failure(code, why, hint));
  }

  /**
   * What came of it, when its process has ended. An error that it returned counts before how it ended, and that before a result, as in
   * BuildKit; but one that only has to be ended has its result.
   */
  conclude({ exitCode, error }: ContainerEnd): { readonly result: FrontendResult; readonly hasAttestations: boolean } {
    const { returned } = this.#bridge;
    if (returned?.kind === 'error') throw returned.error;
    if (this.#task.signal.aborted) throw error ?? new TsbuildError('TSB_CANCELED', 'The frontend was ended');
    const { aborted, reason } = this.#stop.signal;
    if (aborted && returned === undefined) throw reason;
    // That no step can run on this machine, or at all, is no matter of the frontend's.
    if (!aborted && error !== undefined)
      throw error.code === 'TSB_STEP' ? this.#failure('TSB_STEP', error.message, NO_FRONTEND, error) : error;
    if (!aborted && exitCode !== 0)
      throw this.#failure(
        'TSB_STEP',
        `it ended with exit code ${exitCode}`,
        'what it said is in the log above: "tsbuild logs" shows all of it',
      );
    if (returned === undefined) throw this.#failure('TSB_STEP', 'it ended without a result', NO_FRONTEND);
    return returned;
  }

  #failure(code: 'TSB_STEP' | 'TSB_TIMEOUT', why: string, hint: string, cause?: unknown): TsbuildError {
    const last = this.#said.toString('utf8').trim().split('\n').at(-1) ?? '';
    const said = last === '' ? '' : ` (it said: ${sanitizeLine(last, 300)})`;
    return new TsbuildError(code, `Frontend ${JSON.stringify(this.#source)} failed: ${why}${said}`, {
      hint,
      ...(cause === undefined ? {} : { cause }),
    });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#server?.[Symbol.dispose]();
    this.#connection?.destroy();
  }
}

const NO_FRONTEND = 'is it an image of a BuildKit frontend? # syntax= names nothing else';
