/** The secrets of a request, and the masking of their values in whatever a build shows. */
export { BuildSecrets, maskDiagnostic, maskTask, type SecretSource } from './build-secrets.ts';
export type { Mask, MaskStream } from './mask.ts';
