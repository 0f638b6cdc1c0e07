/**
 * A text with the credentials of every URL in it replaced by `xxxxx`. Works on the text alone, so that what is no well-formed
 * URL does not get through as it is (SEC-07). The user name of `ssh://git@host` is no secret and stays.
 */
export function redactUrls(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*):\/\/([^/?#\s"']*)@/gi, (found: string, scheme: string, user: string) => {
    if (/^ssh$/i.test(scheme) && !user.includes(':')) return found;
    return `${scheme}://${user.includes(':') ? 'xxxxx:xxxxx' : 'xxxxx'}@`;
  });
}
