import type { Digest } from '../util/digest.ts';
import type { Task } from './task.ts';

/** Reports progress of one part of a vertex. @param total bytes, where that is known */
export type ReportStatus = (id: string, current: number, total?: number, completed?: boolean) => void;

/**
 * Reports of parts of a vertex, in bytes.
 * @param now milliseconds since the epoch
 */
export function statusOf(task: Task, vertex: Digest, now: () => number): ReportStatus {
  return (id, current, total, completed) =>
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
}
