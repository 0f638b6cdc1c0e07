import { TsbuildError } from '../util/index.ts';

/** The values of `PolicyAction`, by number. */
export const ACTIONS = ['ALLOW', 'DENY', 'CONVERT'] as const;
/** The values of `MatchType`, by number. */
export const MATCH_TYPES = ['WILDCARD', 'EXACT', 'REGEX'] as const;
/** The values of `AttrMatch`, by number. */
export const CONDITIONS = ['EQUAL', 'NOTEQUAL', 'MATCHES'] as const;

/** What a source's attribute must be for a rule to be meant. An attribute that is not there is empty. */
export interface AttrConstraint {
  readonly key: string;
  readonly value: string;
  readonly condition: (typeof CONDITIONS)[number];
}

/** Which sources a rule is about. */
export interface SourceSelector {
  /** Of a source, as `docker-image://docker.io/library/alpine:latest`, or a pattern for such. */
  readonly identifier: string;
  readonly matchType: (typeof MATCH_TYPES)[number];
  readonly constraints: readonly AttrConstraint[];
}

/** One rule of a policy. */
export interface SourceRule {
  readonly action: (typeof ACTIONS)[number];
  readonly selector: SourceSelector;
  /** Of `CONVERT`: what the source becomes. */
  readonly updates?: {
    /** May have `$1` and the like for parts of the pattern; empty leaves the identifier as it is. */
    readonly identifier: string;
    /** Added to the source's own. */
    readonly attrs: ReadonlyMap<string, string>;
  };
}

/** The rules of one file, or of one call of a frontend. */
export interface SourcePolicy {
  /** For messages: where the rules come from. */
  readonly name: string;
  readonly rules: readonly SourceRule[];
}

/** Bytes of a policy that is read. */
export const MAX_POLICY_BYTES: number = 4 * 1024 * 1024;
/** More rules than anybody writes, and not so many that looking at them takes long. */
const MAX_RULES = 10_000;

/**
 * Checks what rules mean beyond their form.
 * @throws TsbuildError `TSB_POLICY`
 */
export function checkPolicy(policy: SourcePolicy, version: number): SourcePolicy {
  if (version !== 0 && version !== 1)
    throw unusable(policy.name, `its version is ${version}, and this is for version 1`);
  if (policy.rules.length > MAX_RULES)
    throw unusable(policy.name, `it has ${policy.rules.length} rules, more than ${MAX_RULES}`);
  for (const [index, { action, selector, updates }] of policy.rules.entries()) {
    if (selector.identifier === '') throw unusable(policy.name, `the selector of rule ${index + 1} has no identifier`);
    if (action === 'CONVERT' && (updates === undefined || (updates.identifier === '' && updates.attrs.size === 0)))
      throw unusable(policy.name, `missing destination for convert rule ${index + 1}`);
  }
  return policy;
}

/** A policy that is none. */
export function unusable(name: string, why: string, cause?: unknown): TsbuildError {
  const options = cause === undefined ? {} : { cause };
  return new TsbuildError('TSB_POLICY', `Cannot use source policy ${JSON.stringify(name)}: ${why}`, options);
}
