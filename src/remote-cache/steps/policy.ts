import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { guardFor } from '../../image/index.ts';
import { fromErrno, parseStrictJson, TsbuildError } from '../../util/index.ts';
import type { PolicySource } from '../request.ts';
import { readVerifyKey, type VerifyKey } from './keys.ts';

/** Who may have written what a scope has. */
export interface Policy {
  /** The keys one of which must have signed a record; `any` where none need have; none at all refuses every record. */
  keysFor(scope: string): readonly VerifyKey[] | 'any';
}

/** What holds where the user says nothing: whoever may write to a cache that was named is trusted. */
export const trustAll: Policy = { keysFor: () => 'any' };

/**
 * Reads the keys, or the policy file with its keys, that an option names.
 * @throws TsbuildError `TSB_USAGE`
 */
export function readPolicy(source: PolicySource | undefined): Policy {
  if (source === undefined) return trustAll;
  if ('verifyKeys' in source) {
    const keys = source.verifyKeys.map((path) => readVerifyKey(path));
    return { keysFor: () => keys };
  }
  const rules = readRules(source.policyFile);
  return { keysFor: (scope) => bestRule(rules, scope)?.keys ?? [] };
}

interface Rule {
  /** A scope, or the beginning of scopes with `*` after it. */
  readonly pattern: string;
  readonly keys: readonly VerifyKey[] | 'any';
}

/** The file is JSON: `{"version": 1, "scopes": {"main": ["main.pub"], "pr-*": ["main.pub", "pr.pub"], "scratch": "any"}}`. */
function readRules(path: string): readonly Rule[] {
  const what = `cache policy ${JSON.stringify(path)}`;
  try {
    const guard = guardFor(what);
    const document = guard.object(parseStrictJson(readFileSync(path), { what, maxBytes: 256 * 1024 }), '');
    if (document['version'] !== 1) throw guard.fail('version', 'is not 1');
    return Object.entries(guard.object(document['scopes'], 'scopes')).map(([pattern, value]): Rule => {
      if (pattern.slice(0, -1).includes('*')) throw guard.fail(`scopes.${pattern}`, 'has a * that is not its end');
      if (value === 'any') return { pattern, keys: 'any' };
      const files = guard.list(value, `scopes.${pattern}`, 100);
      const paths = files.map((file, at) => guard.string(file, `scopes.${pattern}[${at}]`));
      return { pattern, keys: paths.map((file) => readVerifyKey(resolve(dirname(path), file))) };
    });
  } catch (error) {
    if (error instanceof TsbuildError && error.code === 'TSB_USAGE') throw error;
    throw new TsbuildError('TSB_USAGE', fromErrno(error, `Cannot read ${what}`, 'TSB_USAGE').message, {
      cause: error,
      hint: 'for example {"version": 1, "scopes": {"main": ["main.pub"], "pr-*": ["main.pub", "pr.pub"]}}',
    });
  }
}

/** The scope itself before patterns, longer patterns before shorter ones. */
function bestRule(rules: readonly Rule[], scope: string): Rule | undefined {
  const exact = rules.find(({ pattern }) => pattern === scope);
  if (exact !== undefined) return exact;
  const matching = rules.filter(({ pattern }) => pattern.endsWith('*') && scope.startsWith(pattern.slice(0, -1)));
  return matching.toSorted((a, b) => b.pattern.length - a.pattern.length)[0];
}
