/**
 * The profiles of `~/.aws/credentials` and `~/.aws/config`: sections `[name]` or `[profile name]` of `key = value` lines. Lines that are
 * indented belong to a nested setting (`s3 =`), of which none is wanted here. A section that stands twice is one.
 */
export function parseProfiles(text: string): ReadonlyMap<string, Readonly<Record<string, string>>> {
  const profiles = new Map<string, Record<string, string>>();
  let current: Record<string, string> | undefined;
  for (const line of text.split(/\r?\n/)) {
    const section = /^\s*\[\s*(?:profile\s+)?([^\]]*?)\s*\]/.exec(line)?.[1];
    if (section !== undefined) {
      // Sections of other kinds, as `sso-session`, have names that no profile has.
      const name = section.replace(/^(["'])(.*)\1$/, '$2');
      current = profiles.get(name) ?? {};
      profiles.set(name, current);
      continue;
    }
    const [, key, value = ''] = /^([^\s#;=][^=]*?)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (key === undefined || current === undefined) continue;
    current[key.toLowerCase()] = value.replace(/\s[#;].*$/, '');
  }
  return profiles;
}
