import type { Task } from '../events/index.ts';
import type { Op } from '../llb/index.ts';
import type { CacheMap, SolverVertex } from '../solver/index.ts';
import type { OpResult } from './result.ts';

/** A vertex of LLB, as the solver hands it to runners. */
export type OpVertex = SolverVertex<Op>;

/** Knows one kind of op. `Body` is what the op says beside its inputs. */
export interface KindRunner<Body> {
  /** Identity of the op without its inputs, and how each input takes part in the key. @see OpRunner.cacheMap */
  cacheMap(task: Task, vertex: OpVertex, body: Body): CacheMap<OpResult> | Promise<CacheMap<OpResult>>;
  /** Runs the op and gives one result per output. @see OpRunner.exec */
  run(
    task: Task,
    vertex: OpVertex,
    body: Body,
    inputs: readonly OpResult[],
  ): readonly OpResult[] | Promise<readonly OpResult[]>;
}
