/**
 * A text with the credentials of every URL in it replaced by `xxxxx`. Works on the text alone, so that what is no well-formed
 * URL does not get through as it is (SEC-07). The user name of `ssh://git@host` is no secret and stays.
 */
export function redactUrls(text: string): string {
  // Without the scheme, whose start would be looked for at each of a million letters, again and again.
  // A quote is a part of the credentials unless it closes one that stands before the URL: then something follows that ends a word.
  return text.replace(/:\/\/((?:[^/?#\s"']|["'](?![\s,;:)\]}]|$))*)@/g, (found: string, user: string, at: number) => {
    if (!user.includes(':') && /(?:^|[^a-z0-9+.-])ssh$/i.test(text.slice(Math.max(0, at - 4), at))) return found;
    return `://${user.includes(':') ? 'xxxxx:xxxxx' : 'xxxxx'}@`;
  });
}
