// Takes the pictures of docs/report.md with Debian's chromium: node scripts/report-pictures.mjs REPORT.html [DIRECTORY]
//   REPORT.html  of a build of several stages, one step of which was not cached
//   DIRECTORY    default docs/images
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const [report, directory = 'docs/images'] = process.argv.slice(2);
if (report === undefined) throw new Error('usage: report-pictures.mjs REPORT.html [DIRECTORY]');

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });

/**
 * @param {string} name of the picture
 * @param {import('playwright-core').BrowserContextOptions} how
 * @param {(page: import('playwright-core').Page) => Promise<void>} show
 */
async function picture(name, how, show) {
  const page = await browser.newPage(how);
  await page.goto(pathToFileURL(resolve(report)).href);
  await show(page);
  await page.waitForTimeout(300);
  await page.screenshot({ path: join(directory, `${name}.png`) });
  await page.close();
}

const wide = { viewport: { width: 1440, height: 900 } };
await picture('report', { ...wide, colorScheme: 'light' }, async () => undefined);
await picture('report-steps', { ...wide, colorScheme: 'dark' }, async (page) => {
  await page.locator('#steps .step:not(.cached)', { hasText: 'RUN' }).first().click();
  await page.locator('#steps-section').evaluate((section) => section.scrollIntoView());
});
await browser.close();
