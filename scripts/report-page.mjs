// Makes dist/report.html: the page of build reports with its style and script inside, and a policy that lets nothing else in.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { build, transform } from 'esbuild';

const SOURCE = 'src/report/page';

/** Everything but the facts and the title of a build, which src/report puts in. */
export async function buildReportPage() {
  const { outputFiles } = await build({
    entryPoints: [`${SOURCE}/main.ts`],
    bundle: true,
    write: false,
    minify: true,
    format: 'iife',
    platform: 'browser',
    target: 'es2023',
    legalComments: 'none',
    logLevel: 'warning',
  });
  const script = outputFiles[0].text.trim();
  const { code } = await transform(readFileSync(`${SOURCE}/report.css`, 'utf8'), { loader: 'css', minify: true });
  const style = code.trim();
  // What would end its own element would be no script or style of ours any more.
  if (/<\/script|<!--|<script/i.test(script)) throw new Error('The script of the report page holds markup');
  if (/<\/style/i.test(style)) throw new Error('The style of the report page holds markup');
  const elements = {
    '{{policy}}': policyOf(script, style),
    '<link rel="stylesheet" href="report.css" />': `<style>${style}</style>`,
    '<script src="main.js"></script>': `<script>${script}</script>`,
  };
  let page = readFileSync(`${SOURCE}/report.html`, 'utf8');
  for (const [place, text] of Object.entries(elements)) {
    if (page.split(place).length !== 2) throw new Error(`The report page has no one ${place}`);
    page = page.replace(place, () => text);
  }
  writeFileSync('dist/report.html', page);
}

/** Nothing is loaded from anywhere; the one script and the one style are allowed by what they say. */
function policyOf(script, style) {
  const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  return [
    "default-src 'none'",
    `script-src ${hash(script)}`,
    `style-src ${hash(style)}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}
