import { staticProgram } from './static-program.ts';

/** The program of `net-probe.c`, with a resolver that needs no libraries of the image, as busybox's does. */
export const netProbe = (): Uint8Array => staticProgram('net-probe');
