import { compileTemplate, type Template } from '../go-template/index.ts';

/**
 * The template of `--format` where something is inspected. As with docker, `json` and an empty one are the whole document.
 * @returns undefined for that
 * @throws TsbuildError `TSB_USAGE`
 */
export function inspectTemplate(format: string | undefined): Template | undefined {
  return format === undefined || format === '' || format === 'json' ? undefined : compileTemplate(format);
}
