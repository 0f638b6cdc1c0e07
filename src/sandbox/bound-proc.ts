/** The rung of steps with the /proc around them. */
export const BOUND_PROC = 2;

/** What that means for a step, for whoever runs one. */
export const boundProcText =
  'steps see the /proc of the surrounding container, with the names of its processes, because parts of it are hidden';
