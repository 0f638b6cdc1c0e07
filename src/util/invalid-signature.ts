/**
 * A signature that does not hold. Its message says why, to follow a colon after what was verified; it quotes nothing of the signature
 * but names of keys and algorithms.
 */
export class InvalidSignatureError extends Error {
  override readonly name = 'InvalidSignatureError';
  /** What the user can do about it. */
  readonly hint: string | undefined;

  constructor(why: string, hint?: string) {
    super(why);
    this.hint = hint;
  }
}
