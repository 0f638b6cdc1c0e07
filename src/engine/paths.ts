import { fileURLToPath } from 'node:url';

/** Whether this runs from the bundle in dist/ or from the sources. */
const bundled = !import.meta.url.endsWith('.ts');

/** The package's own directory. */
const root = fileURLToPath(new URL(bundled ? '..' : '../..', import.meta.url));

/** The program of the worker process. */
export const workerEntry: string = bundled ? `${root}/dist/worker.cjs` : `${root}/src/worker/main.ts`;

/** Compiled seccomp filters. */
export const seccompDirectory: string = `${root}/native/seccomp`;
