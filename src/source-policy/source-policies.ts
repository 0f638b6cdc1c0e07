import type { SourceOp } from '../llb/index.ts';
import { BadPatternError, type ExpressionMatch, GoExpression, quoteExpression } from '../patterns/index.ts';
import { redactUrls, sanitizeLine, TsbuildError } from '../util/index.ts';
import { canonicalIdentifier, withoutStaleAddress } from './identifier.ts';
import { type AttrConstraint, type SourcePolicy, type SourceRule, type SourceSelector, unusable } from './policy.ts';

/** Conversions of one source, after which it is taken for a circle; BuildKit's number. */
const MAX_CONVERSIONS = 20;
/** Characters of an identifier or attribute that rules are applied to. */
const MAX_TEXT = 4096;

/** Finds out whether a text is meant, and what its parts are. */
type Pattern = (text: string) => { format(template: string): string } | undefined;

/** A rule that is ready to be applied. */
interface Rule {
  readonly rule: SourceRule;
  readonly matches: Pattern;
  readonly constraints: readonly ((attrs: ReadonlyMap<string, string>) => boolean)[];
}

interface Policy {
  readonly policy: SourcePolicy;
  readonly rules: readonly Rule[];
}

/** What the policies of a build say of sources (BuildKit's sourcepolicy engine). */
export class SourcePolicies {
  #policies: readonly Policy[];

  /** @throws TsbuildError `TSB_POLICY` for a pattern that is malformed */
  constructor(policies: readonly SourcePolicy[] = []) {
    this.#policies = policies.map(compiled);
  }

  get isEmpty(): boolean {
    return this.#policies.length === 0;
  }

  /** What they were made of. */
  get given(): readonly SourcePolicy[] {
    return this.#policies.map(({ policy }) => policy);
  }

  /** These, and after them others. @throws TsbuildError `TSB_POLICY` for a pattern that is malformed */
  followedBy(others: readonly SourcePolicy[]): SourcePolicies {
    return others.length === 0 ? this : this.#with((own) => [...own, ...others.map(compiled)]);
  }

  /** Others, and after them these. @throws TsbuildError `TSB_POLICY` for a pattern that is malformed */
  precededBy(others: readonly SourcePolicy[]): SourcePolicies {
    return others.length === 0 ? this : this.#with((own) => [...others.map(compiled), ...own]);
  }

  #with(change: (own: readonly Policy[]) => readonly Policy[]): SourcePolicies {
    const made = new SourcePolicies();
    made.#policies = change(this.#policies);
    return made;
  }

  /**
   * The source as the policies want it: the same object where they leave it as it is. The first conversion that changes something is made,
   * and then all rules are asked again; of allowing and denying rules of one policy the last one that is meant holds, and each policy can
   * deny. A git repository that comes as a bundle is two sources: the blob of the bundle is asked about, too.
   * @throws TsbuildError `TSB_POLICY` for a source that is denied, or that is converted in circles
   */
  apply(source: SourceOp): SourceOp {
    const applied = this.#applyToOne(source);
    const bundle = applied.attrs.get('git.bundle') ?? '';
    if (bundle === '' || this.isEmpty) return applied;
    const { identifier } = this.#applyToOne({ kind: 'source', identifier: bundle, attrs: new Map() });
    return identifier === bundle
      ? applied
      : { ...applied, attrs: new Map([...applied.attrs, ['git.bundle', identifier]]) };
  }

  #applyToOne(source: SourceOp): SourceOp {
    let current = source;
    for (let round = 0; ; round++) {
      if (round > MAX_CONVERSIONS)
        throw new TsbuildError(
          'TSB_POLICY',
          `Cannot convert source ${shown(canonicalIdentifier(source))}: too many mutations on a single source`,
          { hint: `the policy converts it in a circle: it was ${shown(canonicalIdentifier(current))} in the end` },
        );
      const changed = this.#applyOnce(current, source);
      if (changed === undefined) return current;
      current = changed;
    }
  }

  /** @returns what a rule made of the source; undefined when it may stay as it is */
  #applyOnce(source: SourceOp, original: SourceOp): SourceOp | undefined {
    if (this.isEmpty) return undefined;
    const identifier = bounded(canonicalIdentifier(source));
    for (const policy of this.#policies) {
      const changed = evaluate(policy, source, identifier, original);
      if (changed !== undefined) return changed;
    }
    return undefined;
  }
}

/** One policy on one source. */
function evaluate(
  { policy, rules }: Policy,
  source: SourceOp,
  identifier: string,
  original: SourceOp,
): SourceOp | undefined {
  let denied: number | undefined;
  for (const [index, { rule, matches, constraints }] of rules.entries()) {
    if (!constraints.every((holds) => holds(source.attrs))) continue;
    const match = matches(identifier);
    if (match === undefined) continue;
    if (rule.action === 'ALLOW') denied = undefined;
    else if (rule.action === 'DENY') denied = index;
    else {
      const changed = converted(source, identifier, rule, match);
      if (changed !== undefined) return changed;
    }
  }
  if (denied === undefined) return undefined;
  const was = canonicalIdentifier(original);
  throw new TsbuildError('TSB_POLICY', `source ${shown(identifier)} denied by policy`, {
    hint: `rule ${denied + 1} of ${policy.name} denies it${was === identifier ? '' : `; it was converted from ${shown(was)}`}`,
  });
}

/** The source with what a rule changes; undefined when that is nothing. */
function converted(
  source: SourceOp,
  identifier: string,
  { updates }: SourceRule,
  match: { format(template: string): string },
): SourceOp | undefined {
  if (updates === undefined) return undefined;
  const destination = updates.identifier === '' ? '' : match.format(updates.identifier);
  const isSame = destination === '' || destination === identifier;
  const attrs = [...updates.attrs].filter(([key, value]) => source.attrs.get(key) !== value);
  if (isSame && attrs.length === 0) return undefined;
  const changed: SourceOp = { ...source, attrs: new Map([...source.attrs, ...attrs]) };
  return isSame ? changed : withoutStaleAddress({ ...changed, identifier: destination });
}

function compiled(policy: SourcePolicy): Policy {
  return {
    policy,
    rules: policy.rules.map((rule, index) => {
      const fail = (what: string, text: string, error: unknown): never => {
        if (!(error instanceof BadPatternError)) throw error;
        throw unusable(
          policy.name,
          `rule ${index + 1} has an invalid ${what} ${JSON.stringify(text.slice(0, 200))}`,
          error,
        );
      };
      return {
        rule,
        matches: patternOf(rule.selector, fail),
        constraints: rule.selector.constraints.map((constraint) => conditionOf(constraint, fail)),
      };
    }),
  };
}

type Fail = (what: string, text: string, error: unknown) => never;

/** What is called as the selector says is meant, whatever the kind of pattern. */
function patternOf({ identifier, matchType }: SourceSelector, fail: Fail): Pattern {
  switch (matchType) {
    case 'EXACT':
      return (text) => (text === identifier ? { format: (template) => template } : undefined);
    case 'WILDCARD': {
      if (identifier.includes('**')) return fail('wildcard', identifier, new BadPatternError());
      const expression = expressionOf(`^${identifier.split('*').map(quoteExpression).join('(.*)')}$`, 'wildcard', fail);
      const formatted = (match: ExpressionMatch): ReturnType<Pattern> => ({ format: (text) => match.expand(text) });
      return (text) => {
        const match = expression.match(text);
        return match && formatted(match);
      };
    }
    case 'REGEX': {
      const expression = expressionOf(identifier, 'regex', fail);
      return (text) =>
        text === identifier || expression.match(text) !== undefined
          ? { format: (template) => expression.replaceAll(text, template) }
          : undefined;
    }
    default:
      return matchType satisfies never;
  }
}

function conditionOf(
  { key, value, condition }: AttrConstraint,
  fail: Fail,
): (attrs: ReadonlyMap<string, string>) => boolean {
  const of = (attrs: ReadonlyMap<string, string>): string => attrs.get(key) ?? '';
  switch (condition) {
    case 'EQUAL':
      return (attrs) => of(attrs) === value;
    case 'NOTEQUAL':
      return (attrs) => of(attrs) !== value;
    case 'MATCHES': {
      const expression = expressionOf(value, 'regex', fail);
      return (attrs) => expression.match(bounded(of(attrs))) !== undefined;
    }
    default:
      return condition satisfies never;
  }
}

/** A text that patterns may be applied to: that takes time for each of its characters. */
function bounded(text: string): string {
  if (text.length <= MAX_TEXT) return text;
  throw new TsbuildError('TSB_POLICY', `Cannot apply the source policy to ${text.length} characters of a source`);
}

function expressionOf(source: string, what: string, fail: Fail): GoExpression {
  try {
    return new GoExpression(source);
  } catch (error) {
    return fail(what, source, error);
  }
}

function shown(identifier: string): string {
  return JSON.stringify(sanitizeLine(redactUrls(identifier), 1000));
}
