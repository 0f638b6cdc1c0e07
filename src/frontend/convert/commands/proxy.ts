import type { ProxyEnv } from '../../../llb/index.ts';
import { compareBytes } from '../../dockerfile/text.ts';

/** The proxies that build arguments name, in either case; undefined when there are none. */
export function proxyFromArgs(args: ReadonlyMap<string, string>): ProxyEnv | undefined {
  const found = new Map<string, string>();
  for (const key of [...args.keys()].sort(compareBytes)) {
    if (/^(http|https|ftp|no|all)_proxy$/i.test(key)) found.set(key.toLowerCase(), args.get(key) ?? '');
  }
  if (found.size === 0) return undefined;
  return {
    httpProxy: found.get('http_proxy') ?? '',
    httpsProxy: found.get('https_proxy') ?? '',
    ftpProxy: found.get('ftp_proxy') ?? '',
    noProxy: found.get('no_proxy') ?? '',
    allProxy: found.get('all_proxy') ?? '',
  };
}
