/** The secrets of a request, and the masking of their values in whatever a build shows. */
export { BuildSecrets, maskDiagnostic, maskTask, type SecretSource } from './build-secrets.ts';
export { Mask, type MaskStream } from './mask.ts';
export { hiddenForms } from './values.ts';
