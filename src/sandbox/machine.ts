import { readFileSync } from 'node:fs';
import { isResolvedStub, resolvConfFor, resolvedConfPath } from './network-files.ts';

/**
 * Content of /etc/resolv.conf for a process in a network, made from the machine's own files; undefined when it has none.
 */
export function resolvConfOfHost(network: 'host' | 'private' = 'host'): string | undefined {
  const own = read('/etc/resolv.conf');
  if (own === undefined) return network === 'host' ? undefined : resolvConfFor(network, '');
  const real = network === 'private' && isResolvedStub(own) ? read(resolvedConfPath) : undefined;
  return resolvConfFor(network, real ?? own);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
