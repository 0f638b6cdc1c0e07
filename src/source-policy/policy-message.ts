import { decodeMessage, enumeration, int64, message, type MessageSchema, string } from '../llb/index.ts';
import { messageOf } from '../util/index.ts';
import {
  ACTIONS,
  checkPolicy,
  CONDITIONS,
  MATCH_TYPES,
  type SourcePolicy,
  type SourceSelector,
  unusable,
} from './policy.ts';

/** BuildKit's sourcepolicy/pb/policy.proto. Strict: a rule that is read in part would be another rule. */
const selectorSchema: MessageSchema = {
  name: 'Selector',
  fields: [
    string(1, 'identifier'),
    enumeration(2, 'matchType', { name: 'MatchType', values: MATCH_TYPES, json: MATCH_TYPES }),
    message(
      3,
      'constraints',
      () => ({
        name: 'AttrConstraint',
        fields: [
          string(1, 'key'),
          string(2, 'value'),
          enumeration(3, 'condition', { name: 'AttrMatch', values: CONDITIONS, json: CONDITIONS }),
        ],
      }),
      { repeated: true },
    ),
  ],
};

const ruleSchema: MessageSchema = {
  name: 'Rule',
  fields: [
    enumeration(1, 'action', { name: 'PolicyAction', values: ACTIONS, json: ACTIONS }),
    message(2, 'selector', () => selectorSchema),
    message(3, 'updates', () => ({
      name: 'Update',
      fields: [string(1, 'identifier'), string(2, 'attrs', { map: true })],
    })),
  ],
};

const policySchema: MessageSchema = {
  name: 'Policy',
  fields: [int64(1, 'version'), message(2, 'rules', () => ruleSchema, { repeated: true })],
};

/** What the message holds: a selector may be missing. */
interface PolicyMessage {
  readonly version: number;
  readonly rules: readonly (Omit<SourcePolicy['rules'][number], 'selector'> & { readonly selector?: SourceSelector })[];
}

/**
 * A policy in protobuf's form.
 * @param name for messages: where it comes from
 * @throws TsbuildError `TSB_POLICY`
 */
export function decodeSourcePolicy(bytes: Uint8Array, name: string): SourcePolicy {
  let decoded: PolicyMessage;
  try {
    decoded = decodeMessage(policySchema, bytes) as unknown as PolicyMessage;
  } catch (error) {
    throw unusable(name, `it is no policy (${messageOf(error)})`, error);
  }
  const rules = decoded.rules.map(({ selector, ...rule }, index) => {
    if (selector === undefined) throw unusable(name, `rule ${index + 1} has no selector`);
    return { ...rule, selector };
  });
  return checkPolicy({ name, rules }, decoded.version);
}
