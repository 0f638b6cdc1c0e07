import { basename } from 'node:path';
import { NETWORK_KEY } from '../../frontend/index.ts';
import type { BuildRecording, RecordMode } from '../../recording/index.ts';
import { certificateDirs, proxiesOf } from '../../registry/index.ts';
import type { RecordedSteps } from '../../ops/index.ts';
import { type Digest, TsbuildError } from '../../util/index.ts';
import type { CompiledGraphs } from '../compiled.ts';
import type { OpenLock } from './lock-file.ts';
import type { BuildRequest } from '../request.ts';
import type { Session } from '../session.ts';

/** The recorded network of a build, with the steps that have it. */
export interface OpenRecording extends RecordedSteps, AsyncDisposable {
  readonly recording: BuildRecording;
  /** Whether the lock file is to be written. */
  readonly records: boolean;
}

/**
 * Finds the steps whose network is recorded, and makes what they need.
 * @returns undefined where there are none, as in most builds
 * @throws TsbuildError `TSB_USAGE` without a lock file; `TSB_DOCKERFILE` for a step that wants the machine's own network
 */
export async function openRecording(
  session: Session,
  request: BuildRequest,
  compiled: CompiledGraphs,
  { network }: OpenLock,
): Promise<OpenRecording | undefined> {
  const modes = modesOf(compiled, request);
  if (modes.size === 0) return undefined;
  const { lock, entitlements } = request;
  if (lock === undefined)
    throw new TsbuildError('TSB_USAGE', 'Cannot record the network of steps: there is no lock file to write it to', {
      hint: 'name one with --lock-file PATH',
    });
  const records = [...modes.values()].includes('record');
  if (records) checkRecordable(session, lock);
  const { BuildRecording } = await import('../../recording/index.ts');
  const { home, proxies = {} } = session.options;
  const { offline } = session;
  const recording = new BuildRecording({
    store: session.store,
    lease: session.lease,
    temporary: () => session.remote.temporary(),
    now: session.now,
    proxy: proxiesOf(proxies),
    certificateDirs: session.options.certificateDirs ?? certificateDirs(home),
    known: network,
    fresh: lock.policy.kind === 'update',
    lock: basename(lock.path),
    hosts: request.extraHosts,
    allowOwn: entitlements.has('network.host'),
    allowOther: entitlements.has('network.post'),
    offline: offline && ((what) => offline.refuse(what)),
  });
  return {
    recording,
    records,
    modeOf: (vertex) => modes.get(vertex),
    [Symbol.asyncDispose]: () => recording[Symbol.asyncDispose](),
  };
}

/** What was asked for all steps, else what the comment above a step says. A step without a network has nothing to record. */
function modesOf({ platforms }: CompiledGraphs, { recordNetwork }: BuildRequest): ReadonlyMap<Digest, RecordMode> {
  const modes = new Map<Digest, RecordMode>();
  for (const { digest, op, metadata, ranges } of platforms.flatMap(({ graph }) => graph.vertices)) {
    if (op.body?.kind !== 'exec') continue;
    const { network } = op.body;
    if (recordNetwork !== undefined && network === 'host')
      throw new TsbuildError(
        'TSB_DOCKERFILE',
        `Cannot build with --network=${recordNetwork}: a step wants this machine's own network, of which nothing can be recorded`,
        { ranges, hint: 'leave --network=host of the RUN out' },
      );
    const own = metadata.description.get(NETWORK_KEY);
    const mode = recordNetwork ?? (own === 'record' || own === 'locked' ? own : undefined);
    if (mode !== undefined && network === 'sandbox') modes.set(digest, mode);
  }
  return modes;
}

/** @throws TsbuildError `TSB_USAGE` where a lock file must stay as it is, or nobody can be asked */
function checkRecordable({ offline }: Session, { policy }: NonNullable<BuildRequest['lock']>): void {
  const other = policy.kind === 'locked' ? '--locked' : offline ? '--offline' : undefined;
  if (other === undefined) return;
  throw new TsbuildError('TSB_USAGE', `Cannot record the network of steps with ${other}`, {
    hint: 'build with --network=locked, which takes what was recorded',
  });
}
