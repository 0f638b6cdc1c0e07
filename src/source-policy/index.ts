/** Source policies as BuildKit has them: rules that allow, deny and convert the sources of build graphs. */
export type { SourcePolicy } from './policy.ts';
export { policyFiles, readSourcePolicies } from './policy-files.ts';
export { decodeSourcePolicy } from './policy-message.ts';
export { SourcePolicies } from './source-policies.ts';
