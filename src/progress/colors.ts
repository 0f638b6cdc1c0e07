/** Numbers of an SGR sequence; undefined for no colour. */
export interface Palette {
  readonly run: string | undefined;
  readonly cancel: string | undefined;
  readonly warning: string | undefined;
  readonly error: string | undefined;
}

const NAMES = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];

/** Colours without colours. */
export const colorless: Palette = { run: undefined, cancel: undefined, warning: undefined, error: undefined };

/**
 * The colours of a display.
 * @param custom BUILDKIT_COLORS: `key=value` pairs with `:` between them; keys run, cancel, error, warning; values a name such as
 * `light-blue`, or `r,g,b`. What is wrong in it is left out.
 */
export function createPalette(options: { readonly noColor?: boolean; readonly custom?: string } = {}): Palette {
  if (options.noColor) return colorless;
  const palette = { run: '34', cancel: '33', warning: '33', error: '31' };
  for (const field of (options.custom ?? '').replaceAll('"', '').split(':')) {
    const [key = '', value = '', more] = field.toLowerCase().split('=');
    const color = more === undefined ? parseColor(value) : undefined;
    if (color !== undefined && Object.hasOwn(palette, key)) palette[key as keyof Palette] = color;
  }
  return palette;
}

/** Text in a colour. */
export function paint(text: string, color: string | undefined): string {
  return color === undefined ? text : `\u001b[${color}m${text}\u001b[0m`;
}

function parseColor(value: string): string | undefined {
  if (value === 'default') return '39';
  const light = value.startsWith('light-');
  const at = NAMES.indexOf(light ? value.slice('light-'.length) : value);
  if (at >= 0) return String((light ? 90 : 30) + at);
  const parts = value.split(',');
  const levels = parts.map(Number);
  const valid = parts.every((part) => /^\d{1,3}$/.test(part)) && levels.every((level) => level <= 255);
  return parts.length === 3 && valid ? `38;2;${levels.join(';')}` : undefined;
}
