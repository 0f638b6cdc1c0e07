import fs from 'node:fs';
import { join } from 'node:path';
import { Connection } from './connection.ts';
import type { Container, ContainerState, ContainerStatus } from './types.ts';

const STATUSES: ReadonlySet<string> = new Set<ContainerStatus>([
  'created',
  'running',
  'paused',
  'restarting',
  'exited',
]);

const NEW: ContainerState = { status: 'created', pid: 0, exitCode: 0, restarts: 0, started: '', finished: '' };

/** What the supervisor last wrote; a container that was never started has written nothing. */
export function readState(directory: string): ContainerState {
  let text: string;
  try {
    text = fs.readFileSync(join(directory, 'state.json'), 'utf8');
  } catch {
    return NEW;
  }
  try {
    const {
      errno,
      stage,
      text: why,
      ...state
    } = JSON.parse(text) as ContainerState & {
      errno?: number;
      stage?: string;
      text?: string;
    };
    // After a power cut the file may be empty; whatever ran then does not run now.
    if (!STATUSES.has(state.status)) return { ...NEW, status: 'exited', exitCode: 137, lost: true };
    return stage === undefined ? state : { ...state, failure: { errno: errno ?? 0, stage, text: why ?? '' } };
  } catch {
    return { ...NEW, status: 'exited', exitCode: 137, lost: true };
  }
}

/** Whether this is what only a living supervisor has. */
export function isLive({ status }: ContainerState): boolean {
  return status === 'running' || status === 'paused' || status === 'restarting';
}

/** Whether the container has a supervisor: somebody listens at its socket. The kernel knows it, whatever was written down. */
export async function isSupervised({ directory }: Pick<Container, 'directory'>): Promise<boolean> {
  using connection = await Connection.open(directory);
  return connection !== undefined;
}

/** Writes what is true of a container whose supervisor was killed: everything in it was killed with it. */
export function writeLost(directory: string, last: ContainerState, now: Date): ContainerState {
  const state: ContainerState = {
    ...last,
    status: 'exited',
    pid: 0,
    exitCode: 137,
    finished: now.toISOString(),
    lost: true,
  };
  const { failure: _failure, ...written } = state;
  const temporary = join(directory, 'state.json.tmp');
  fs.writeFileSync(temporary, `${JSON.stringify(written)}\n`, { mode: 0o600 });
  fs.renameSync(temporary, join(directory, 'state.json'));
  return state;
}
