/** Bytes that are not what the format says, or end too early. The message says what is wrong, and never quotes them. */
export class MalformedError extends Error {}

/** A key that may be whole, but cannot be used. The message says why. */
export class UnusableKeyError extends Error {}

/** A key that only its passphrase opens. */
export class EncryptedKeyError extends UnusableKeyError {
  constructor() {
    super('it is encrypted with a passphrase');
  }
}
