import { type Diagnostic, type SourceRange, TsbuildError } from '../../util/index.ts';
import type { Dockerfile } from '../dockerfile/types.ts';
import { locateTokens } from '../dockerfile/ranges.ts';
import { defaultLintConfig, type LintConfig, parseLintConfig, withComments } from './config.ts';
import { suggestWord } from '../dockerfile/suggestion.ts';
import type { Rule } from './rules.ts';

/** One violation of a rule. */
export interface Finding extends Diagnostic {
  readonly severity: 'warning';
  readonly description: string;
  /** See `Rule.advice`. */
  readonly advice: boolean;
  /** The word of the instruction that the finding is about, see `locateFindings`. */
  readonly token?: string;
}

/** What the linters of all instructions have in common. */
interface Shared {
  readonly findings: Map<string, Finding>;
  /** Words that were compared for suggestions. */
  comparisons: number;
}

/** A Dockerfile may use a hundred thousand names that are not there, and set as many others. */
const MAX_COMPARISONS = 500_000;

/**
 * Collects findings. `scoped` gives a linter for one instruction that collects into the same list.
 * What is found twice, as in a build for several platforms, is kept once.
 */
export class Linter {
  readonly #config: LintConfig;
  readonly #shared: Shared;

  /** @param config default: all rules but experimental ones */
  constructor(config: LintConfig = defaultLintConfig, shared: Shared = { findings: new Map(), comparisons: 0 }) {
    this.#config = config;
    this.#shared = shared;
  }

  /**
   * A linter for a Dockerfile with its `# check=` directive, or with `override` (the build argument
   * BUILDKIT_DOCKERFILE_CHECK) instead.
   * @throws TsbuildError `TSB_DOCKERFILE` for a malformed option
   */
  static forDockerfile(dockerfile: Pick<Dockerfile, 'directives'>, override?: string): Linter {
    if (override !== undefined) return new Linter(parseLintConfig(override));
    const directive = dockerfile.directives.check;
    try {
      return new Linter(parseLintConfig(directive?.value.split(' ')[0] ?? ''));
    } catch (error) {
      if (!(error instanceof TsbuildError)) throw error;
      throw new TsbuildError('TSB_DOCKERFILE', `failed to parse check options: ${error.message}`, {
        ranges: directive?.ranges ?? [],
        ...(error.hint === undefined ? {} : { hint: error.hint }),
      });
    }
  }

  /** The linter for an instruction with these comment lines above it, which may hold a `check=skip=…`. */
  scoped(comments: readonly string[]): Linter {
    const config = comments.length === 0 ? this.#config : withComments(this.#config, comments);
    return config === this.#config ? this : new Linter(config, this.#shared);
  }

  /** Whether a rule is on. */
  isOn(rule: Pick<Rule, 'name' | 'experimental'>): boolean {
    const { experimental, experimentalAll, skip, skipAll } = this.#config;
    if (rule.experimental === true) return experimentalAll || experimental.has(rule.name);
    return !skipAll && !skip.has(rule.name);
  }

  /**
   * Notes a violation, unless the rule is off.
   * @param args of the rule's message
   * @param token a word of the instruction that the message is about
   */
  report<A extends readonly string[]>(rule: Rule<A>, ranges: readonly SourceRange[], args: A, token?: string): void {
    if (!this.isOn(rule)) return;
    const message = rule.message(...args);
    const key = `${rule.name}\0${message}\0${ranges[0]?.startLine ?? 0}`;
    if (this.#shared.findings.has(key)) return;
    this.#shared.findings.set(key, {
      code: rule.name,
      severity: 'warning',
      message,
      ranges,
      description: rule.description,
      advice: rule.advice ?? false,
      ...(rule.url === '' ? {} : { url: rule.url }),
      ...(rule.help === undefined ? {} : { help: rule.help }),
      ...(token === undefined ? {} : { token }),
    });
  }

  /** The word nearest to one, if any is near; none after more comparisons than any file needs that a person wrote. */
  suggest(word: string, known: { keys(): Iterable<string> }): string {
    const shared = this.#shared;
    const counted = function* (): Iterable<string> {
      for (const key of known.keys()) {
        if (++shared.comparisons > MAX_COMPARISONS) return;
        yield key;
      }
    };
    return shared.comparisons > MAX_COMPARISONS ? '' : (suggestWord(word, counted()) ?? '');
  }

  /** All findings, in the order of their lines. */
  get findings(): readonly Finding[] {
    return [...this.#shared.findings.values()].sort(
      (a, b) => (a.ranges[0]?.startLine ?? 0) - (b.ranges[0]?.startLine ?? 0),
    );
  }

  /** The error that `error=true` asks for, or undefined. */
  error(): TsbuildError | undefined {
    const violated = this.findings.filter((finding) => !finding.advice);
    if (!this.#config.error || violated.length === 0) return undefined;
    const names = [...new Set(violated.map((finding) => finding.code))].sort();
    return new TsbuildError('TSB_LINT', `lint violation found for rules: ${names.join(', ')}`, {
      ranges: violated[0]?.ranges ?? [],
    });
  }
}

/** The findings with columns where the word that they are about can be found. Loads dockerfile-ast when there are any. */
export async function locateFindings(
  dockerfile: Dockerfile,
  findings: readonly Finding[],
): Promise<readonly Finding[]> {
  return Promise.all(
    findings.map(async (finding) => {
      if (finding.token === undefined) return finding;
      const ranges = await locateTokens(dockerfile.file, finding.ranges, finding.token, dockerfile.escape);
      return { ...finding, ranges };
    }),
  );
}
