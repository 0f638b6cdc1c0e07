import type { BuildEvent, VertexState } from '../../src/events/index.ts';
import { sha256 } from '../../src/util/index.ts';

/** What became of a vertex that has no inputs, at a time in ms. */
export const vertexEvent = (name: string, state: VertexState, at: number): BuildEvent => ({
  type: 'vertex',
  vertex: sha256(name),
  name,
  inputs: [],
  state,
  at,
});
