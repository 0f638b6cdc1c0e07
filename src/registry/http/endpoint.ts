import { addressKind } from './private-address.ts';

/** One host to ask for a repository. */
export interface Endpoint {
  /** `host[:port]` as it is spoken to. */
  readonly host: string;
  /** Repository path on that host; empty for the registry itself. */
  readonly path: string;
  /** TLS certificates are not verified, and plain HTTP is used where there is no TLS. */
  readonly insecure: boolean;
  /** Asked before, and instead of, the registry that the reference names. */
  readonly mirror: boolean;
}

/** The API host of a registry: docker.io answers elsewhere than where its name says. */
export function apiHost(host: string): string {
  return host === 'docker.io' ? 'registry-1.docker.io' : host;
}

/** Whether a `host[:port]` is this machine: there docker, too, does without TLS unasked. */
export function isLoopbackHost(host: string): boolean {
  try {
    return addressKind(new URL(`http://${host}/`).hostname) === 'loopback';
  } catch {
    return false;
  }
}
