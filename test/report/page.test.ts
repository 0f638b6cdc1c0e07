import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { keepRecord, renderJson, renderPage, type ReportFacts } from '../../src/report/index.ts';
import { describeBuild } from '../../src/report/describe.ts';
import { parseRecord } from '../../src/report/kept.ts';
import type { Store } from '../../src/store/index.ts';
import { embeddedJson } from '../../src/report/page.ts';
import { digestOf, factsOf, largeBuild, log, recorded, recordOf, START, vertex } from './support.ts';

/** The facts that a page holds, read as a browser does: up to the first thing that ends the element. */
function factsIn(page: string): ReportFacts {
  const begin = page.indexOf('<script type="application/json" id="facts">');
  const text = page.slice(page.indexOf('>', begin) + 1);
  return JSON.parse(text.slice(0, text.search(/<\/script/i))) as ReportFacts;
}

/** Texts that mean something to HTML, scripts, or whoever reads them. */
const HOSTILE = [
  '</script><script>alert(1)</script>',
  '</SCRIPT >',
  '<!--<script>',
  '--> ]]>',
  '\u2028\u2029',
  '{{facts}}{{title}}"{{facts}}"',
  "$& $1 $` $'",
  '<img src=x onerror=alert(1)>',
  '\ud800',
];

describe('the page', () => {
  const hostile = HOSTILE.join(' ');
  const name = `[a 1/2] RUN ${hostile}`;
  const recorder = recorded([
    vertex(name, 'started', 0),
    log(name, `${HOSTILE.join('\n')}\n`, 1),
    vertex(name, 'done', 5),
    {
      type: 'diagnostic',
      at: START,
      diagnostic: { code: hostile, severity: 'warning', message: hostile, ranges: [], description: hostile },
    },
  ]);
  recorder.plan({ dockerfile: { name: hostile, text: hostile }, platforms: [hostile], ranges: new Map() });
  const facts = describeBuild(
    recorder.finish({
      result: 'failed',
      at: START + 10,
      error: { message: hostile, hint: hostile },
      outputs: [{ names: [hostile], digest: hostile }],
      layers: [{ description: hostile, isForeign: true, digest: hostile, size: 5 }],
    }),
  );
  const page = renderPage({ ...facts, build: { ...facts.build, title: hostile } });

  test('holds the facts unharmed, and they harm nothing', () => {
    expect(JSON.stringify(factsIn(page).steps)).toBe(JSON.stringify(facts.steps));
    expect(factsIn(page).build.title).toBe(hostile);
    // One of data, one of ours.
    expect(page.match(/<script/gi)).toHaveLength(2);
    expect(page.match(/<\/script/gi)).toHaveLength(2);
    expect(page).not.toContain('<!--');
    expect(page).not.toContain('<img');
    expect(page.match(/[\u2028\u2029\u202a-\u202e]/g)).toBeNull();
  });

  test('its policy lets the one script and the one style in, and nothing from anywhere', () => {
    const policy = /http-equiv="Content-Security-Policy"\s+content="([^"]*)"/.exec(page)?.[1] ?? '';
    const hash = (text = ''): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
    const [script] = [...page.matchAll(/<script>([\s\S]*?)<\/script>/g)].map(([, text]) => hash(text));
    const [style] = [...page.matchAll(/<style>([\s\S]*?)<\/style>/g)].map(([, text]) => hash(text));
    expect(policy.split('; ')).toEqual([
      "default-src 'none'",
      `script-src ${script}`,
      `style-src ${style}`,
      'img-src data:',
      "base-uri 'none'",
      "form-action 'none'",
    ]);
    expect(page.indexOf('Content-Security-Policy')).toBeLessThan(page.indexOf('<style'));
    expect(page.match(/(?:src|href)="(?!data:|#)[^"]*"/g)).toBeNull();
    expect(page.match(/url\(|@import|fetch\(|XMLHttpRequest|WebSocket|sendBeacon|import\(/g)).toBeNull();
    expect(page.match(/ style=| on[a-z]+="/g)).toBeNull();
  });

  test('and the JSON have the same facts', () => {
    const large = largeBuild(5, 10);
    expect(JSON.parse(renderJson(large))).toEqual(factsIn(renderPage(large)));
  });

  test('JSON for a script reads as the same', () => {
    for (const text of HOSTILE) {
      expect(JSON.parse(embeddedJson({ text }))).toEqual({ text });
      expect(embeddedJson({ text })).toMatch(/^[^<>&\u2028\u2029]*$/);
    }
  });
});

describe('the facts', () => {
  test('have no more than one line of what is a name, without what controls a terminal', () => {
    const facts = factsOf([vertex('[a 1/2] RUN a\nb\u001b[31m\u202e', 'cached', 0)], 1);
    expect(facts.steps[0]?.text).toBe('RUN a b^[[31m\\u{202e}');
  });

  test('link layers to the steps that made them', () => {
    const recorder = recorded([vertex('[a 2/2] RUN make', 'cached', 0)]);
    const record = recorder.finish({
      result: 'done',
      at: START + 1,
      layers: [
        { description: 'example.com/base@sha256:1', isForeign: true, digest: digestOf('b'), size: 10 },
        { description: '[a 2/2] RUN make', isForeign: false, digest: digestOf('l'), size: 20 },
      ],
    });
    const contents = { contentSize: 99, files: 3, largestDirectories: [{ path: '/a', size: 99 }], largestFiles: [] };
    const facts = describeBuild(record, {
      layers: new Map([[digestOf('l'), contents]]),
      directories: [{ path: '/a', size: 99 }],
    });
    expect(facts.summary.imageBytes).toBe(30);
    expect(facts.layers).toEqual([
      { text: 'FROM example.com/base@sha256:1', digest: digestOf('b'), size: 10 },
      { text: 'RUN make', digest: digestOf('l'), step: 0, size: 20, ...contents },
    ]);
  });

  test('of much output the store keeps the beginning and the end', () => {
    const texts: string[] = [];
    const store = { reports: { keep: (text: string) => texts.push(text) } };
    const events = [vertex('[1/2] RUN a', 'started', 0)];
    for (let at = 0; at < 9000; at++) events.push(log('[1/2] RUN a', `line ${at} ${'x'.repeat(80)}\n`, at / 10));
    const record = recordOf([...events, vertex('[1/2] RUN a', 'done', 950)], 1000);
    keepRecord(store as unknown as Store, record);
    const kept = parseRecord(texts[0] ?? '')?.vertices[0]?.log;
    expect(texts[0]?.length).toBeLessThan(90_000);
    expect(kept?.lines[0]).toMatch(/^line 0 /);
    expect(kept?.lines.at(-1)).toMatch(/^line 8999 /);
    expect(kept?.times).toHaveLength(kept?.lines.length ?? 0);
    const size = kept?.lines.reduce((sum, { length }) => sum + length + 1, 0) ?? 0;
    expect(size + (kept?.lost?.bytes ?? 0)).toBe(kept?.bytes);
    expect(kept?.lines[kept.lost?.before ?? 0]).not.toMatch(/^line [0-9]{1,3} /);
  });

  test('a record that is kept reads as it was; another is none', () => {
    const record = recordOf([vertex('[1/2] RUN a', 'started', 0), vertex('[1/2] RUN a', 'done', 4)], 5);
    expect(parseRecord(JSON.stringify(record))).toEqual(record);
    for (const text of ['', '{', 'null', '[]', '{"version":2}', JSON.stringify({ ...record, vertices: 7 })])
      expect(parseRecord(text)).toBeUndefined();
  });
});
