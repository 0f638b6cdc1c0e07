export { SolveError } from './errors.ts';
export { createSolver, solve } from './solver.ts';
export type {
  CacheDep,
  CacheMap,
  CacheRecord,
  CacheSource,
  KeyLink,
  KnownEdge,
  OpRunner,
  SolveOptions,
  Solver,
  SolverEdge,
  SolverVertex,
  VertexAccount,
} from './types.ts';
