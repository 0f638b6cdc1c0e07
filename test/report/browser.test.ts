import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeBuild } from '../../src/report/describe.ts';
import { renderPage, type ReportFacts } from '../../src/report/index.ts';
import { digestOf, factsOf, largeBuild, log, recorded, START, vertex } from './support.ts';

/** Debian's. Without it these tests are left out: scripts/setup.sh test installs it. */
const CHROMIUM = '/usr/bin/chromium';
const hasBrowser = existsSync(CHROMIUM);
if (!hasBrowser) process.stderr.write(`The report page is not tried in a browser: there is no ${CHROMIUM}\n`);

/** A page in a browser. */
interface Opened {
  readonly page: Page;
  /** What it asked for besides itself, and what went wrong in it. */
  readonly seen: string[];
  readonly show: (facts: ReportFacts) => Promise<void>;
}

/** Of axe-core, as far as it is looked at. */
interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

const dir = mkdtempSync(join(tmpdir(), 'tsbuild-page-'));
afterAll(() => rmSync(dir, { recursive: true }));

function failedBuild(): ReportFacts {
  const name = '[build 2/2] RUN make </script><script>document.title="owned"</script>';
  const output = Array.from({ length: 3000 }, (_, line) => `compiling file${line}.c \u202e<b>not bold</b>\n`).join('');
  const recorder = recorded([
    vertex('[build 1/2] COPY . .', 'cached', 1),
    vertex(name, 'started', 2, ['[build 1/2] COPY . .']),
    log(name, `${output}make: *** Error 2\n`, 40),
    { ...vertex(name, 'failed', 90), error: 'process did not complete successfully: exit code: 2' } as ReturnType<
      typeof vertex
    >,
    {
      type: 'diagnostic',
      at: START,
      diagnostic: {
        code: 'MaintainerDeprecated',
        severity: 'warning',
        message: 'use a label',
        url: 'https://example.com/rule',
        ranges: [{ file: 'Dockerfile', startLine: 2, endLine: 2 }],
      },
    },
  ]);
  recorder.plan({
    dockerfile: { name: 'Dockerfile', text: 'FROM scratch AS build\nMAINTAINER me\nCOPY . .\nRUN make\n' },
    platforms: ['linux/amd64'],
    ranges: new Map(),
  });
  return describeBuild(
    recorder.finish({ result: 'failed', at: START + 100, error: { message: 'it failed', hint: 'try again' } }),
  );
}

describe.skipIf(!hasBrowser)('the page in a browser', () => {
  const held: { browser?: Browser } = {};
  beforeAll(async () => {
    // Containers have no place for chromium's own sandbox; the pages are ours.
    held.browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  });
  afterAll(async () => held.browser?.close());

  /** Opens a report as a file. @param facts undefined for a page that is shown later */
  async function open(
    facts: ReportFacts | undefined,
    options: { readonly dark?: boolean; readonly width?: number } = {},
  ): Promise<Opened & AsyncDisposable> {
    const path = join(dir, 'report.html');
    const context = await (held.browser as Browser).newContext({
      viewport: { width: options.width ?? 1440, height: 900 },
      colorScheme: options.dark ? 'dark' : 'light',
    });
    const page = await context.newPage();
    const seen: string[] = [];
    const address = pathToFileURL(path).href;
    page.on('request', (request) => {
      if (request.url() !== address && !request.url().startsWith('data:')) seen.push(`asked for ${request.url()}`);
    });
    page.on('console', (message) => seen.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => seen.push(`threw ${error.message}`));
    page.on('dialog', (dialog) => {
      seen.push(`dialog ${dialog.message()}`);
      void dialog.dismiss();
    });
    const show = async (shown: ReportFacts): Promise<void> => {
      writeFileSync(path, renderPage(shown));
      await page.goto(address);
    };
    if (facts !== undefined) await show(facts);
    return { page, seen, show, [Symbol.asyncDispose]: () => context.close() };
  }

  /** Which element has the focus, in words. */
  const focused = (page: Page): Promise<string> =>
    page.evaluate(`(({ id, role, textContent, ariaLabel }) =>
      ariaLabel ?? (role === 'option' ? textContent : id))(document.activeElement)`);

  test('opens from a file, asks for nothing, and has no error', async () => {
    await using opened = await open(largeBuild(6, 12));
    const { page, seen } = opened;
    expect(await page.locator('h1').textContent()).toBe('web:1');
    expect(await page.locator('#steps .step').count()).toBe(74);
    expect(await page.locator('#timeline-canvas .bar').count()).toBeGreaterThan(40);
    expect(seen).toEqual([]);
    // Even what a script in the page asks for does not leave it.
    let asked = 0;
    await using server = createServer((socket) => {
      asked++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x.png`;
    await page.evaluate(`fetch(${JSON.stringify(url)}).catch(() => undefined)`);
    await page.evaluate(`new Promise((done) => {
      const image = Object.assign(new Image(), { src: ${JSON.stringify(url)}, onerror: done, onload: done });
      document.body.append(image);
    })`);
    expect(asked).toBe(0);
    expect(seen.join('\n')).toContain('Content Security Policy');
  });

  test('takes nothing in names and logs for markup', async () => {
    await using opened = await open(failedBuild());
    const { page, seen } = opened;
    expect(await page.title()).toBe('web:1 · tsbuild report');
    expect(await page.locator('b:text("not bold")').count()).toBe(0);
    expect(await page.locator('#details .instruction').textContent()).toContain('</script><script>');
    expect(await page.locator('script').count()).toBe(2);
    expect(seen).toEqual([]);
  });

  test('a failed build shows the step that failed, with the end of its output', async () => {
    await using opened = await open(failedBuild());
    const { page } = opened;
    expect(await page.locator('#failure').innerText()).toContain('it failed');
    expect(await page.locator('#details-title').innerText()).toContain('build 2/2');
    await expect.poll(() => page.evaluate('document.querySelector(".log").scrollTop > 40000')).toBe(true);
    expect(await page.locator('#dockerfile-lines .warning').innerText()).toContain('MaintainerDeprecated use a label');
  });

  test('says what made steps run, and what that cost', async () => {
    const names = ['[a 1/3] COPY . .', '[a 2/3] RUN make', '[a 3/3] RUN make test'] as const;
    const ran = names.flatMap((name, at) => [
      vertex(name, 'started', at * 100, names.slice(Math.max(0, at - 1), at)),
      vertex(name, 'done', at * 100 + 80, names.slice(Math.max(0, at - 1), at)),
    ]);
    const why = names.map((name, at) => ({
      type: 'reason' as const,
      vertex: digestOf(name),
      at: START,
      reason: {
        outcome: 'ran' as const,
        kind: at === 0 ? ('changed' as const) : ('input' as const),
        text:
          at === 0 ? 'src/a.ts changed (sha256 ab… -> cd…), 2 more files' : 'it stands on COPY . ., which ran again',
        differences: at === 0 ? [{ what: 'file' as const, name: 'src/a.ts', change: 'changed' as const }] : [],
        more: at === 0 ? 2 : 0,
        ...(at === 0 ? {} : { cause: digestOf(names[0]) }),
        asked: [],
      },
    }));
    await using opened = await open(factsOf([...ran, ...why], 300));
    const { page } = opened;
    expect(await page.locator('#causes').innerText()).toBe(
      'src/a.ts changed and 2 more: 3 steps ran again, 240 ms of work. First a 1/3',
    );
    expect(await page.locator('#steps .why').allInnerTexts()).toEqual([
      'src/a.ts changed and 2 more',
      'because of a 1/3',
      'because of a 1/3',
    ]);
    await page.locator('#causes button').click();
    expect(await page.locator('#details .facts').innerText()).toContain(
      'src/a.ts changed (sha256 ab… -> cd…), 2 more files',
    );
  });

  test('is walked by keyboard', async () => {
    await using opened = await open(largeBuild(3, 6));
    const { page, seen } = opened;
    await page.keyboard.press('/');
    expect(await focused(page)).toBe('Search steps and logs');
    await page.keyboard.type('stage1 4');
    await page.keyboard.press('Enter');
    // The description has the focus, of the first step that is found.
    await expect.poll(() => page.locator('#details-title').innerText()).toContain('stage1 4/6');
    expect(await focused(page)).toBe('details-close');
    await page.keyboard.press('Escape');
    expect(await page.locator('#details').isVisible()).toBe(false);
    expect(await focused(page)).toContain('stage1 4/6');
    // Emptied, the list is whole again.
    await page.keyboard.press('/');
    await page.keyboard.press('Escape');
    await expect.poll(() => page.locator('#steps .step:visible').count()).toBe(20);
    await page.locator('#steps .step').first().focus();
    const first = await focused(page);
    await page.keyboard.press('ArrowDown');
    expect(await focused(page)).not.toBe(first);
    await page.keyboard.press('End');
    expect(await focused(page)).toContain('final 1/1');
    await page.keyboard.press('Home');
    expect(await focused(page)).toBe(first);
    // The timeline: one stop for Tab, arrows within.
    await page.locator('#zoom-fit').focus();
    await page.keyboard.press('Tab');
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('ArrowDown');
    const bar = await focused(page);
    expect(bar).toContain('stage');
    expect(await page.locator('#timeline-readout').innerText()).toBe(bar.replaceAll('  ', ' '));
    const visible = await page.evaluate('getComputedStyle(document.activeElement).outlineStyle');
    expect(visible).toBe('solid');
    await page.keyboard.press('+');
    expect(
      await page.evaluate(
        'document.querySelector("#timeline").scrollWidth > document.querySelector("#timeline").clientWidth',
      ),
    ).toBe(true);
    await page.keyboard.press('Enter');
    expect(await page.locator('#details').isVisible()).toBe(true);
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    expect(await page.locator('#help').isVisible()).toBe(true);
    expect(seen).toEqual([]);
  });

  test('finds in logs, from the search of the steps on', async () => {
    await using opened = await open(failedBuild());
    const { page } = opened;
    await page.keyboard.press('/');
    await page.keyboard.type('FILE2999');
    await expect.poll(() => page.locator('#steps .step:visible').count()).toBe(1);
    await expect.poll(() => page.locator('#steps .badge:visible').innerText()).toBe('1 in the log');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.locator('.log-head .count').innerText()).toBe('1 of 1');
    expect(await page.evaluate('[...CSS.highlights.get("found")].map(String)')).toEqual(['file2999']);
    const find = page.getByLabel('Find in the log');
    await find.fill('file29');
    await find.press('Enter');
    expect(await page.locator('.log-head .count').innerText()).toBe('2 of 111');
    await find.press('Shift+Enter');
    await find.press('Shift+Enter');
    expect(await page.locator('.log-head .count').innerText()).toBe('111 of 111');
  });

  test.each([
    ['light', false],
    ['dark', true],
  ])('%s: follows the system, has a switch, and no fault of accessibility that axe knows', async (_, dark) => {
    await using opened = await open(failedBuild(), { dark });
    const { page, seen } = opened;
    const background = (): Promise<string> => page.evaluate('getComputedStyle(document.body).backgroundColor');
    const [light, night] = ['rgb(245, 245, 242)', 'rgb(14, 17, 20)'];
    expect(await background()).toBe(dark ? night : light);
    await page.getByRole('button', { name: dark ? 'Light' : 'Dark' }).click();
    expect(await background()).toBe(dark ? light : night);
    await page.getByRole('button', { name: 'Auto' }).click();
    // Not through a script element, which the page's policy forbids.
    await page.evaluate(readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'));
    const { violations } = await page.evaluate<{ violations: Violation[] }>('axe.run(document)');
    expect(
      violations.map(({ id, nodes }) => [id, nodes.map(({ html, failureSummary }) => [html, failureSummary])]),
    ).toEqual([]);
    expect(seen).toEqual([]);
  });

  test('fits on a telephone', async () => {
    await using opened = await open(largeBuild(4, 8), { width: 390 });
    const { page, seen } = opened;
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(390);
    await page.locator('#steps .step').nth(5).click();
    const box = await page.locator('#details').boundingBox();
    expect(box?.width).toBe(390);
    await page.locator('#details-close').click();
    expect(await page.locator('#details').isVisible()).toBe(false);
    expect(seen).toEqual([]);
  });

  test('prints in light colours, all of it', async () => {
    await using opened = await open(largeBuild(10, 50), { dark: true });
    const { page } = opened;
    await page.emulateMedia({ media: 'print' });
    expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe('rgb(255, 255, 255)');
    expect(await page.evaluate('document.querySelector("#steps").clientHeight > 500 * 30')).toBe(true);
    expect((await page.pdf({ format: 'A4' })).length).toBeGreaterThan(10_000);
  });

  test('500 steps are there at once, and move smoothly', async () => {
    await using opened = await open(undefined);
    const { page, seen } = opened;
    const cdp = await page.context().newCDPSession(page);
    // Time of the processor: others may be at work on the machine.
    await cdp.send('Performance.enable', { timeDomain: 'threadTicks' });
    /** Milliseconds that the page has taken so far to run its script and to know where everything goes. */
    const work = async (): Promise<number> => {
      const { metrics } = await cdp.send('Performance.getMetrics');
      const parts = ['LayoutDuration', 'RecalcStyleDuration', 'ScriptDuration'];
      return 1000 * metrics.reduce((sum, { name, value }) => sum + (parts.includes(name) ? value : 0), 0);
    };
    await opened.show(largeBuild(10, 50));
    await page.locator('#steps .step').last().waitFor();
    const ready = await work();
    /** So many frames in each of which something moves: the middle of their times, and the work in one. */
    const moving = async (move: string): Promise<{ readonly frame: number; readonly work: number }> => {
      const before = await work();
      const frames = await page.evaluate<number[]>(`new Promise((resolve) => {
        const [steps, timeline, zoomIn, fit] = ['steps', 'timeline', 'zoom-in', 'zoom-fit'].map((id) => document.getElementById(id));
        const times = [];
        let last = performance.now();
        const frame = (now) => {
          times.push(now - last);
          last = now;
          const count = times.length;
          if (count > 60) return resolve(times.slice(1));
          ${move};
          requestAnimationFrame(frame);
        };
        requestAnimationFrame(frame);
      })`);
      return { frame: frames.toSorted((a, b) => a - b)[30] ?? 0, work: ((await work()) - before) / 60 };
    };
    const list = await moving('steps.scrollTop = (count * 170) % steps.scrollHeight');
    const whole = await moving('window.scrollTo(0, (count * 40) % 1500)');
    const zoom = await moving('zoomIn.click(); if (count % 12 === 0) fit.click()');
    await page.evaluate('for (let i = 0; i < 6; i++) document.getElementById("zoom-in").click()');
    const pan = await moving('timeline.scrollLeft = count * 100');
    const said = Object.entries({ list, page: whole, zoom, pan }).map(
      ([name, { frame, work }]) => `${name} ${frame.toFixed(1)} ms a frame, ${work.toFixed(1)} ms of it ours`,
    );
    process.stderr.write(`500 steps: there after ${ready.toFixed(0)} ms of work; ${said.join('; ')}\n`);
    expect(ready).toBeLessThan(1000);
    // 60 frames in a second leave 16 ms for one. What painting takes is the machine's, which may have no graphics card.
    for (const { work } of [list, whole, pan]) expect(work).toBeLessThan(4);
    expect(zoom.work).toBeLessThan(20);
    expect(seen).toEqual([]);
  });
});
