/** Go's `strconv.ParseBool`: a switch as BuildKit reads it; undefined for anything else. */
export function goBool(text: string): boolean | undefined {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false;
  return undefined;
}
