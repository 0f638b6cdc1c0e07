import { readFileSync } from 'node:fs';
import { isResolvedStub, resolvConfFor, resolvedConfPath } from './network-files.ts';

/**
 * Content of /etc/resolv.conf for a process in a network, made from the machine's own files; undefined when it has none.
 * @param forwarder an address in that network where the machine's own resolver answers
 */
export function resolvConfOfHost(network: 'host' | 'private' = 'host', forwarder?: string): string | undefined {
  const own = read('/etc/resolv.conf');
  if (own === undefined) return network === 'host' ? undefined : resolvConfFor(network, '', forwarder);
  const real =
    network === 'private' && forwarder === undefined && isResolvedStub(own) ? read(resolvedConfPath) : undefined;
  return resolvConfFor(network, real ?? own, forwarder);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
