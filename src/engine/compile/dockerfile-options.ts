import type { CompileOptions } from '../../frontend/index.ts';
import { hostPlatform, parsePlatform } from '../../image/index.ts';
import type { LinuxResources } from '../../llb/index.ts';
import { goBool, TsbuildError } from '../../util/index.ts';

/** Options that say nothing to a frontend here, or are looked at elsewhere. */
const WITHOUT_MEANING =
  /^(?:cmdline|source|cache-from|cache-imports|contextkey|dockerfilekey|frontend\.caps|input-metadata:.*|local-sessionid:.*|attest:.*)$/;

/**
 * The options of `dockerfile.v0` that another frontend gives with its request, under the names that BuildKit's clients give them; the
 * opposite of `frontendOptions`. What is not known here changes what is built, and is refused.
 * @throws TsbuildError `TSB_USAGE`
 */
export function dockerfileOptions(options: ReadonlyMap<string, string>): CompileOptions {
  const own = (prefix: string): Map<string, string> =>
    new Map(
      [...options].flatMap(([key, value]) => (key.startsWith(prefix) ? [[key.slice(prefix.length), value]] : [])),
    );
  const get = (key: string): string | undefined => options.get(key) || undefined;
  const context = get('context');
  const unknown = [...options.keys()].find((key) => !isKnown(key));
  if (unknown !== undefined)
    throw new TsbuildError('TSB_USAGE', `Cannot use option ${JSON.stringify(unknown.slice(0, 100))} of dockerfile.v0`);
  const noCache = options.get('no-cache');
  const resources = resourcesOf(options);
  return {
    context: context === undefined ? { kind: 'local', name: 'context' } : { kind: 'remote', url: context },
    ...present('filename', get('filename')),
    ...present('target', get('target')),
    ...present('contextSubdir', get('contextsubdir')),
    platforms: listOf(get('platform')).map((text) => parsePlatform(text)),
    ...present('multiPlatform', goBool(get('multi-platform') ?? '')),
    buildPlatform: hostPlatform(),
    buildArgs: own('build-arg:'),
    labels: own('label:'),
    ...present('noCache', noCache === undefined ? undefined : noCache === '' ? (true as const) : listOf(noCache)),
    namedContexts: own('context:'),
    imageResolveMode: resolveMode(get('image-resolve-mode')),
    ...present('network', networkOf(get('force-network-mode'))),
    extraHosts: listOf(get('add-hosts')).map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw refused('add-hosts', text);
      return { host: text.slice(0, at), ip: text.slice(at + 1) };
    }),
    ...present('hostname', get('hostname')),
    ...present('shmSize', number(options, 'shm-size')),
    ulimits: listOf(get('ulimit')).map((text) => {
      const [, name = '', soft = '', hard = soft] = /^([a-z]+)=(-?\d{1,15})(?::(-?\d{1,15}))?$/.exec(text) ?? [];
      if (name === '') throw refused('ulimit', text);
      return { name, soft: Number(soft), hard: Number(hard) };
    }),
    ...present('linuxResources', resources),
  };
}

const KNOWN = new Set([
  'context', 'contextsubdir', 'filename', 'target', 'platform', 'multi-platform', 'no-cache', 'image-resolve-mode', 'force-network-mode',
  'add-hosts', 'hostname', 'shm-size', 'ulimit', 'memory', 'memswap', 'cpushares', 'cpuperiod', 'cpuquota', 'cpusetcpus', 'cpusetmems',
]); // oxfmt-ignore

function isKnown(key: string): boolean {
  return KNOWN.has(key) || /^(?:build-arg|label|context):./.test(key) || WITHOUT_MEANING.test(key);
}

function listOf(text: string | undefined): readonly string[] {
  return (text ?? '').split(',').filter((part) => part !== '');
}

function resolveMode(text: string | undefined): NonNullable<CompileOptions['imageResolveMode']> {
  if (text === undefined || text === 'default') return 'default';
  if (text === 'pull' || text === 'local') return text;
  // BuildKit's other name for `local`.
  if (text === 'preferlocal') return 'local';
  throw refused('image-resolve-mode', text);
}

function networkOf(text: string | undefined): CompileOptions['network'] {
  if (text === undefined || text === 'sandbox' || text === 'default') return undefined;
  if (text === 'host' || text === 'none') return text;
  throw refused('force-network-mode', text);
}

/** Limits of steps; undefined without any. */
function resourcesOf(options: ReadonlyMap<string, string>): LinuxResources | undefined {
  const limits = {
    memory: number(options, 'memory') ?? 0,
    memorySwap: number(options, 'memswap') ?? 0,
    cpuShares: number(options, 'cpushares') ?? 0,
    cpuPeriod: number(options, 'cpuperiod') ?? 0,
    cpuQuota: number(options, 'cpuquota') ?? 0,
    cpusetCpus: options.get('cpusetcpus') ?? '',
    cpusetMems: options.get('cpusetmems') ?? '',
  };
  return Object.values(limits).some((value) => value !== 0 && value !== '') ? limits : undefined;
}

function number(options: ReadonlyMap<string, string>, key: string): number | undefined {
  const text = options.get(key);
  if (text === undefined || text === '') return undefined;
  if (!/^-?\d{1,15}$/.test(text)) throw refused(key, text);
  return Number(text);
}

/** An object with a property, or without it. */
function present<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: V });
}

function refused(key: string, text: string): TsbuildError {
  return new TsbuildError('TSB_USAGE', `Cannot use ${JSON.stringify(text.slice(0, 100))} as ${key} of dockerfile.v0`);
}
