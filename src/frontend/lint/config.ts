import { TsbuildError } from '../../util/index.ts';
import { DirectiveScanner } from '../dockerfile/parser/directives.ts';
import { goQuote } from '../dockerfile/text.ts';

/** Which rules are on: the value of a `# check=` directive, of the build argument that overrides it, or of a flag. */
export interface LintConfig {
  readonly skipAll: boolean;
  readonly skip: ReadonlySet<string>;
  readonly experimentalAll: boolean;
  readonly experimental: ReadonlySet<string>;
  /** Findings fail the build. */
  readonly error: boolean;
}

/** BuildKit's: all rules but experimental ones, as warnings. */
export const defaultLintConfig: LintConfig = {
  skipAll: false,
  skip: new Set(),
  experimentalAll: false,
  experimental: new Set(),
  error: false,
};

/** Parts beyond the third are not split off. */
const MAX_PARTS = 3;

/**
 * Reads `skip=RuleA,RuleB|all;error=true;experimental=RuleC|all`.
 * @throws TsbuildError `TSB_DOCKERFILE`
 */
export function parseLintConfig(text: string): LintConfig {
  let config = defaultLintConfig;
  const trimmed = text.trim();
  if (trimmed === '') return config;
  for (const part of splitN(trimmed, ';', MAX_PARTS)) {
    const equals = part.indexOf('=');
    if (equals < 0) throw invalid(part);
    const key = part.slice(0, equals).trim();
    const value = part.slice(equals + 1).trim();
    switch (key) {
      case 'skip':
        config = value === 'all' ? { ...config, skipAll: true } : { ...config, skip: names(value) };
        break;
      case 'experimental':
        config = value === 'all' ? { ...config, experimentalAll: true } : { ...config, experimental: names(value) };
        break;
      case 'error':
        config = { ...config, error: boolean(value, part) };
        break;
      default:
        throw invalid(key);
    }
  }
  return config;
}

/** The config with what a `check=` in the comments above one instruction adds. A malformed one adds nothing. */
export function withComments(config: LintConfig, comments: readonly string[]): LintConfig {
  for (const comment of comments) {
    const directive = new DirectiveScanner('').scan(comment);
    if (directive?.name !== 'check') continue;
    try {
      const added = parseLintConfig(directive.value.split(' ')[0] ?? '');
      return {
        skipAll: config.skipAll || added.skipAll,
        skip: new Set([...config.skip, ...added.skip]),
        experimentalAll: config.experimentalAll || added.experimentalAll,
        experimental: new Set([...config.experimental, ...added.experimental]),
        error: config.error,
      };
    } catch {
      return config;
    }
  }
  return config;
}

function names(value: string): ReadonlySet<string> {
  return new Set(value.split(',').map((name) => name.trim()));
}

function boolean(value: string, part: string): boolean {
  if (/^(?:1|t|T|TRUE|true|True)$/.test(value)) return true;
  if (/^(?:0|f|F|FALSE|false|False)$/.test(value)) return false;
  throw new TsbuildError(
    'TSB_DOCKERFILE',
    `failed to parse check option ${goQuote(part)}: strconv.ParseBool: parsing ${goQuote(value)}: invalid syntax`,
  );
}

function invalid(option: string): TsbuildError {
  return new TsbuildError('TSB_DOCKERFILE', `invalid check option ${goQuote(option)}`, {
    hint: 'for example: # check=skip=StageNameCasing,FromAsCasing;error=true',
  });
}

function splitN(text: string, separator: string, count: number): string[] {
  const parts = text.split(separator);
  return parts.length <= count ? parts : [...parts.slice(0, count - 1), parts.slice(count - 1).join(separator)];
}
