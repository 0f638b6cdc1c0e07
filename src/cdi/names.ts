/** Vendor and class of a kind: letters, digits, `_`, `-` and `.`, beginning with a letter and not ending with punctuation. */
const KIND_PART = /^[A-Za-z](?:[\w.-]{0,251}[A-Za-z0-9])?$/;
const DEVICE = /^[A-Za-z0-9](?:[\w.:-]{0,251}[A-Za-z0-9])?$/;

/** Whether a text is `vendor/class`. */
export function isKind(text: string): boolean {
  const slash = text.indexOf('/');
  return slash > 0 && KIND_PART.test(text.slice(0, slash)) && KIND_PART.test(text.slice(slash + 1));
}

/** Whether a text is the last part of `vendor/class=name`. */
export function isDeviceName(text: string): boolean {
  return DEVICE.test(text);
}
