import { loadGraph, marshal, type State } from '../../src/llb/index.ts';
import type { Digest } from '../../src/util/index.ts';

/** What graphs of BuildKit start with whose digests are known. */
export const ALPINE =
  'docker.io/library/alpine:latest@sha256:5ffeb8eee36c8071de386106c9b32957225a8e56a7e3504a58b671417b0c33bb';
export const BUSYBOX =
  'docker.io/library/busybox:latest@sha256:403bad5a9f8a4103a769d17e33318ec00f07b3ca7be9059e22acfb94776a2df2';
export const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
export const platform = { os: 'linux', architecture: 'amd64' } as const;

/** Digest of the vertex that a state is made by; undefined for scratch. */
export function digestOf(state: State): Digest | undefined {
  return loadGraph(marshal(state, { platform })).result?.vertex.digest;
}
