import type { BuildRequest } from '../../engine/index.ts';
import { TsbuildError } from '../../util/index.ts';
import { parseLists } from './options.ts';

/** What a Dockerfile may not do by itself. The last one is for recorded networks: to send what may change something on a server. */
const KNOWN: readonly string[] = ['network.host', 'security.insecure', 'frontend', 'network.post'];

/**
 * Reads `--allow`: entitlements, more than one with commas between them, and `device[=NAME[,alias=ALIAS]]`.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseAllow(values: readonly string[]): Pick<BuildRequest, 'entitlements' | 'devices'> {
  const entitlements = new Set<string>();
  const names = new Set<string>();
  const aliases = new Map<string, string>();
  let all = false;
  for (const text of values.flatMap((value) => (value.startsWith('device=') ? [value] : parseLists([value])))) {
    if (text === 'device' || text === 'device=') all = true;
    else if (text.startsWith('device=')) {
      const { name, alias } = parseDevice(text);
      if (alias === undefined) names.add(name);
      else aliases.set(alias, name);
    } else if (KNOWN.includes(text)) entitlements.add(text);
    else
      throw new TsbuildError('TSB_USAGE', `unknown entitlement ${text}`, {
        hint: `known are ${KNOWN.join(', ')} and device[=NAME]`,
      });
  }
  return { entitlements, devices: { all, names, aliases } };
}

/** `device=NAME[,alias=OTHER]`. */
function parseDevice(text: string): { readonly name: string; readonly alias?: string } {
  const [name = '', ...fields] = text.slice('device='.length).split(',');
  let alias: string | undefined;
  const fail = (why: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use --allow ${JSON.stringify(text)}: ${why}`, {
      hint: 'write --allow device=VENDOR/CLASS=NAME[,alias=ALIAS]',
    });
  for (const field of fields) {
    const equals = field.indexOf('=');
    if (equals < 0) throw fail(`invalid device config ${JSON.stringify(field)}`);
    if (field.slice(0, equals) !== 'alias')
      throw fail(`unknown device config key ${JSON.stringify(field.slice(0, equals))}`);
    alias = field.slice(equals + 1);
  }
  // BuildKit takes any name and finds it out when a step asks for a device.
  if (!/^[^/=]+\/[^/=]+(?:=[^=]*)?$/.test(name)) throw fail(`${JSON.stringify(name)} is no name of a device`);
  return { name, ...(alias ? { alias } : {}) };
}
