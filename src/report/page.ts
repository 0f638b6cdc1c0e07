import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot, sanitizeLine, TsbuildError } from '../util/index.ts';
import type { ReportFacts } from './facts.ts';

/**
 * A report as one HTML page that loads nothing. What comes from the build is text of a JSON document in it, and the title: neither can
 * end its element, and the page's policy allows no script but its own.
 */
export function renderPage(facts: ReportFacts): string {
  const parts: Readonly<Record<string, string>> = {
    title: escapeHtml(sanitizeLine(`${facts.build.title} · tsbuild report`, 200)),
    facts: embeddedJson(facts),
  };
  // One pass: what is put in is not looked at for places to put something in.
  return template().replaceAll(/\{\{title\}\}|"\{\{facts\}\}"/g, (place) => parts[place.replaceAll(/\W/g, '')] ?? '');
}

/** The same facts for programs. */
export function renderJson(facts: ReportFacts): string {
  return `${JSON.stringify(facts, undefined, 2)}\n`;
}

/** JSON that is safe within a script element: without what could end it or begin a comment, and without what ends lines of scripts. */
export function embeddedJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** Made by scripts/report-page.mjs. */
function template(): string {
  const path = join(packageRoot(), 'dist', 'report.html');
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new TsbuildError('TSB_INTERNAL', 'Cannot read the page of reports: this installation is not complete', {
      hint: 'install tsbuild again; in a clone, type: npm run build',
      cause: error,
    });
  }
}
