/** Attributes that are secrets, or may have one in them. */
const SECRETS = ['secret_access_key', 'session_token', 'account_key', 'token', 'ghtoken'];
const PLAIN = new RegExp(`(^|,)(\\s*)(${SECRETS.join('|')})\\s*=[^,]*`, 'gi');
const QUOTED = new RegExp(`"\\s*(${SECRETS.join('|')})\\s*=(?:[^"]|"")*"?`, 'gi');

/** An option as messages may show it: without keys, and without the tokens that addresses of storage accounts may have. */
export function withoutSecrets(option: string): string {
  return option
    .replaceAll(QUOTED, '"$1=***"')
    .replaceAll(PLAIN, '$1$2$3=***')
    .replaceAll(/"(\s*account_url\s*=[^"?]*)\?(?:[^"]|"")*"?/gi, '"$1?***"')
    .replaceAll(/(account_url\s*=[^,"?]*)\?[^,"]*/gi, '$1?***');
}
