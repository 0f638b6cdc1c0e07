import { type Digest, messageOf, sha256 } from '../util/index.ts';
import type { Task, VertexState } from '../events/index.ts';

/** Reports progress of one part of an internal vertex. */
export type ReportStatus = (id: string, current: number, total?: number, completed?: boolean) => void;

/**
 * Shows work that is not a vertex of the graph (loading metadata, exporting) as one in the progress display.
 * @param now milliseconds since the epoch
 * @param work gets the task again, with the vertex for what it waits for
 */
export async function withInternalVertex<T>(
  task: Task,
  now: () => number,
  name: string,
  work: (vertex: Digest, status: ReportStatus, inner: Task) => Promise<T>,
): Promise<T> {
  const vertex = sha256(`tsbuild.internal:${name}`);
  const emit = (state: VertexState, error?: string): void => {
    task.events({
      type: 'vertex',
      vertex,
      name,
      inputs: [],
      state,
      at: now(),
      ...(error === undefined ? {} : { error }),
    });
  };
  emit('started');
  const status: ReportStatus = (id, current, total, completed) => {
    task.events({
      type: 'status',
      vertex,
      id,
      current,
      ...(total === undefined ? {} : { total }),
      unit: 'bytes',
      at: now(),
      ...(completed === undefined ? {} : { completed }),
    });
  };
  try {
    const result = await work(vertex, status, { ...task, vertex });
    emit('done');
    return result;
  } catch (error) {
    emit(task.signal.aborted ? 'canceled' : 'failed', messageOf(error));
    throw error;
  }
}
