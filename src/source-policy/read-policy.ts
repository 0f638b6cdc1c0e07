import { messageOf } from '../util/index.ts';
import {
  ACTIONS,
  type AttrConstraint,
  checkPolicy,
  CONDITIONS,
  MATCH_TYPES,
  MAX_POLICY_BYTES,
  type SourcePolicy,
  type SourceRule,
  unusable,
} from './policy.ts';
import { decodeSourcePolicy } from './policy-message.ts';

/** What a message begins with, and JSON does not: the tags of its fields. */
const VERSION_TAG = 0x08;
const RULES_TAG = 0x12;

/**
 * A policy as a file has it: JSON with the names of BuildKit's proto file, or the message itself, which buildx takes, too. Where BuildKit
 * passes over a key that it does not know, it is refused here: a rule with a misspelt key would be another rule.
 * @param name of the file, for messages
 * @throws TsbuildError `TSB_POLICY`
 */
export function readSourcePolicy(bytes: Uint8Array, name: string): SourcePolicy {
  if (bytes.length > MAX_POLICY_BYTES) throw unusable(name, `it has more than ${MAX_POLICY_BYTES} bytes`);
  if (bytes[0] === VERSION_TAG || bytes[0] === RULES_TAG) return decodeSourcePolicy(bytes, name);
  const text = Buffer.from(bytes).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw unusable(name, `it is not JSON: ${messageOf(error)}`, error);
  }
  const reader = new Reader(name);
  const policy = reader.object(value, 'it', ['version', 'rules']);
  const version = policy['version'] ?? 0;
  if (typeof version !== 'number') throw unusable(name, 'its version is not a number');
  return checkPolicy({ name, rules: reader.list(policy['rules'], 'its "rules"').map(ruleOf(reader)) }, version);
}

/** Reads values of JSON, and says what is wrong with which. */
class Reader {
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  object(value: unknown, what: string, keys: readonly string[]): Readonly<Record<string, unknown>> {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw this.fail(`${what} is not an object`);
    const unknown = Object.keys(value).find((key) => !keys.includes(key));
    if (unknown !== undefined)
      throw this.fail(
        `${what} has ${JSON.stringify(unknown.slice(0, 100))}, and there are ${keys.map((key) => `"${key}"`).join(', ')}`,
      );
    return value as Readonly<Record<string, unknown>>;
  }

  list(value: unknown, what: string): readonly unknown[] {
    if (value === undefined || value === null) return [];
    if (!Array.isArray(value)) throw this.fail(`${what} are not a list`);
    return value;
  }

  text(value: unknown, what: string): string {
    if (value === undefined) return '';
    if (typeof value !== 'string') throw this.fail(`${what} is not a string`);
    return value;
  }

  /** One of an enum's values, by name or number, of which the first is the default. */
  choice<T extends string>(value: unknown, what: string, choices: readonly [T, ...T[]]): T {
    if (value === undefined) return choices[0];
    const found = typeof value === 'number' ? choices[value] : choices.find((choice) => choice === value);
    if (found === undefined) throw this.fail(`${what} is none of ${choices.join(', ')}`);
    return found;
  }

  fail(why: string): Error {
    return unusable(this.#name, why);
  }
}

function ruleOf(reader: Reader): (value: unknown, index: number) => SourceRule {
  return (value, index) => {
    const what = `rule ${index + 1}`;
    const { action, selector, updates } = reader.object(value, what, ['action', 'selector', 'updates']);
    if (selector === undefined || selector === null) throw reader.fail(`${what} has no selector`);
    const of = reader.object(selector, `the selector of ${what}`, ['identifier', 'match_type', 'constraints']);
    const constraints = reader.list(of['constraints'], `the constraints of ${what}`);
    return {
      action: reader.choice(action, `the action of ${what}`, ACTIONS),
      selector: {
        identifier: reader.text(of['identifier'], `the identifier of ${what}`),
        matchType: reader.choice(of['match_type'], `the match_type of ${what}`, MATCH_TYPES),
        constraints: constraints.map((constraint) => constraintOf(reader, constraint, `a constraint of ${what}`)),
      },
      ...(updates === undefined || updates === null ? {} : { updates: updatesOf(reader, updates, what) }),
    };
  };
}

function constraintOf(reader: Reader, value: unknown, what: string): AttrConstraint {
  const of = reader.object(value, what, ['key', 'value', 'condition']);
  return {
    key: reader.text(of['key'], `the key of ${what}`),
    value: reader.text(of['value'], `the value of ${what}`),
    condition: reader.choice(of['condition'], `the condition of ${what}`, CONDITIONS),
  };
}

function updatesOf(reader: Reader, value: unknown, what: string): NonNullable<SourceRule['updates']> {
  const of = reader.object(value, `the updates of ${what}`, ['identifier', 'attrs']);
  const attrs = of['attrs'] ?? {};
  if (typeof attrs !== 'object' || Array.isArray(attrs)) throw reader.fail(`the attrs of ${what} are not an object`);
  return {
    identifier: reader.text(of['identifier'], `the new identifier of ${what}`),
    attrs: new Map(
      Object.entries(attrs).map(([key, text]) => [
        key,
        reader.text(text, `attribute ${JSON.stringify(key)} of ${what}`),
      ]),
    ),
  };
}
