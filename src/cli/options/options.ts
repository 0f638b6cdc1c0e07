import { type Command, Option } from 'commander';
import { TsbuildError } from '../../util/index.ts';

/** Commander's collector for an option that may be repeated. One that is called `--no-…` begins as `true`, not as nothing. */
export function collect(value: string, previous: readonly string[] | boolean | undefined): readonly string[] {
  return [...(typeof previous === 'object' ? previous : []), value];
}

/**
 * Parses repeated `KEY=VALUE` options; the last one of a key wins.
 * @param missing gives the value of a bare `KEY`, or undefined to leave it out
 * @throws TsbuildError `TSB_USAGE`
 */
export function parsePairs(
  flag: string,
  values: readonly string[],
  missing?: (key: string) => string | undefined,
): Map<string, string> {
  const pairs = new Map<string, string>();
  for (const text of values) {
    const at = text.indexOf('=');
    const key = at < 0 ? text : text.slice(0, at);
    if (key === '')
      throw new TsbuildError('TSB_USAGE', `Cannot use ${flag} ${JSON.stringify(text)}: the name is missing`, {
        hint: `write ${flag} NAME=VALUE`,
      });
    if (at >= 0) {
      pairs.set(key, text.slice(at + 1));
      continue;
    }
    if (!missing)
      throw new TsbuildError('TSB_USAGE', `Cannot use ${flag} ${JSON.stringify(text)}: the value is missing`, {
        hint: `write ${flag} ${key}=VALUE`,
      });
    const value = missing(key);
    if (value !== undefined) pairs.set(key, value);
  }
  return pairs;
}

/** Splits comma-separated values of a repeatable option. */
export function parseLists(values: readonly string[] | undefined): readonly string[] {
  return (values ?? [])
    .flatMap((text) => text.split(','))
    .map((text) => text.trim())
    .filter((text) => text !== '');
}

/** `--tls-verify[=false]`, as podman and skopeo have it: `tlsVerify` is undefined where registries.conf decides. */
export function tlsVerifyOption(command: Command): Command {
  return command
    .option(
      '--tls-verify',
      'verify certificates, whatever registries.conf says (--tls-verify=false: do not, and use plain HTTP where there is no TLS)',
    )
    .addOption(new Option('--no-tls-verify').hideHelp());
}
