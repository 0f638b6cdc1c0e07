/** Bytes that are not what RFC 9580 says, or end too early. The message says what is wrong, and never quotes them. */
export class MalformedError extends Error {}

/** A packet that may be whole, but that is not understood here. The message says why. */
export class UnsupportedError extends Error {}
