export { SolveError } from './errors.ts';
export { contentKey } from './keys.ts';
export { createSolver, solve } from './solver.ts';
export type {
  CacheDep,
  CacheMap,
  CacheRecord,
  CacheSource,
  KeyLink,
  KnownEdge,
  KnownInput,
  NamedCache,
  NamedInput,
  NamedNode,
  OpRunner,
  SolveOptions,
  Solver,
  SolverEdge,
  SolverVertex,
  VertexAccount,
} from './types.ts';
