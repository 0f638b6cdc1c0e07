import type { CompileOptions } from '../../frontend/index.ts';
import { formatPlatform } from '../../image/index.ts';

/**
 * The options that a frontend image gets, under the names that BuildKit's clients give them (frontend/dockerui/config.go).
 * @param cmdline the value of `# syntax=`, by which a frontend sees that it was named there
 */
export function frontendOptions(
  options: CompileOptions,
  { source, cmdline }: { readonly source: string; readonly cmdline: string },
): Map<string, string> {
  const { context, noCache, linuxResources: limits } = options;
  const all = new Map<string, string>();
  const put = (key: string, value: string | number | undefined): void => {
    if (value !== undefined && value !== '' && value !== 0) all.set(key, String(value));
  };
  put('source', source);
  put('cmdline', cmdline);
  put('filename', options.filename ?? 'Dockerfile');
  if (context.kind === 'remote') put('context', context.url);
  put('contextsubdir', options.contextSubdir);
  put('target', options.target);
  put('platform', options.platforms.map(formatPlatform).join(','));
  for (const [name, value] of options.buildArgs) all.set(`build-arg:${name}`, value);
  for (const [name, value] of options.labels) all.set(`label:${name}`, value);
  for (const [name, value] of options.namedContexts) all.set(`context:${name}`, value);
  if (noCache !== undefined) all.set('no-cache', noCache === true ? '' : noCache.join(','));
  if (options.imageResolveMode === 'pull') put('image-resolve-mode', 'pull');
  if (options.network !== undefined && options.network !== 'sandbox') put('force-network-mode', options.network);
  put('add-hosts', (options.extraHosts ?? []).map(({ host, ip }) => `${host}=${ip}`).join(','));
  put('hostname', options.hostname);
  put('shm-size', options.shmSize);
  put('ulimit', (options.ulimits ?? []).map(({ name, soft, hard }) => `${name}=${soft}:${hard}`).join(','));
  put('memory', limits?.memory);
  put('memswap', limits?.memorySwap);
  put('cpushares', limits?.cpuShares);
  put('cpuperiod', limits?.cpuPeriod);
  put('cpuquota', limits?.cpuQuota);
  put('cpusetcpus', limits?.cpusetCpus);
  put('cpusetmems', limits?.cpusetMems);
  return all;
}
