import { type Diagnostic, sanitize } from '../util/index.ts';
import { type Palette, paint } from './colors.ts';
import { oneLine } from './text.ts';

/** `Rule: message (line N)`. */
export function warningLine({ code, message, ranges: [range] }: Diagnostic): string {
  const where = range === undefined ? '' : ` (line ${range.startLine})`;
  return oneLine(`${code}: ${message}${where}`);
}

/** How warnings are written. */
export interface WarningOptions {
  readonly palette?: Palette;
  /** Shows each warning with its link, explanation and place, instead of one line. */
  readonly expand?: boolean;
  /** The lines of the source that a warning is about, for `expand`. */
  readonly excerpt?: (diagnostic: Diagnostic) => string;
}

/** What is said about warnings after a build; empty without warnings, else it ends with a newline. */
export function formatWarnings(warnings: readonly Diagnostic[], options: WarningOptions = {}): string {
  if (warnings.length === 0) return '';
  const count = warnings.length === 1 ? '1 warning found' : `${warnings.length} warnings found`;
  const yellow = options.palette?.warning;
  if (!options.expand) {
    const lines = warnings.map((warning) => ` - ${warningLine(warning)}`);
    return `\n${paint(` ${count} (use --debug to expand):`, yellow)}\n${lines.join('\n')}\n`;
  }
  const blocks = warnings.map((warning) => {
    const link = warning.url === undefined ? '' : `More info: ${sanitize(warning.url)}\n`;
    const about = warning.description === undefined ? '' : `${sanitize(warning.description)}\n`;
    return `\n${paint(warningLine(warning), yellow)}\n${about}${link}${options.excerpt?.(warning) ?? ''}`;
  });
  return `\n${paint(` ${count}:`, yellow)}\n${blocks.join('')}`;
}
