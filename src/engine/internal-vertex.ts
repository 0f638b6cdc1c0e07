import { type Digest, messageOf, sha256 } from '../util/index.ts';
import { type ReportStatus, statusOf, type Task, type VertexState } from '../events/index.ts';

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
  const status = statusOf(task, vertex, now);
  try {
    const result = await work(vertex, status, { ...task, vertex });
    emit('done');
    return result;
  } catch (error) {
    emit(task.signal.aborted ? 'canceled' : 'failed', messageOf(error));
    throw error;
  }
}
