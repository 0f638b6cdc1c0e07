/** Files of the user that are written as a whole or not at all, and of which nothing is left when the process is killed. */
export { freeLeftovers } from './leftovers.ts';
export { NewFile } from './new-file.ts';
export { openOutput, type OutputFile, writeOutput } from './output-file.ts';
