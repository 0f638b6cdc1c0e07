import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GithubGroups, githubAnnotation, JobSummary } from '../../src/progress/index.ts';
import { sha256 } from '../../src/util/index.ts';
import { vertexEvent as step } from '../support/vertex-event.ts';

function fold(groups: GithubGroups, text: string): string {
  return groups
    .fold(text)
    .map(({ text: piece }) => piece)
    .join('');
}

describe('groups', () => {
  const plain = [
    '#0 building with tsbuild',
    '',
    '#1 [1/2] RUN make',
    '#1 0.103 one',
    '#1 0.104 two',
    '#1 ...',
    '',
    '#2 [a 1/1] RUN other',
    '#2 12.001 text',
    '#2 DONE 12.1s',
    '',
    '#1 [1/2] RUN make',
    '#1 13.000 three',
    '#1 ERROR: exit code 1',
    '',
  ].join('\n');

  test('hold what a step printed, and nothing of what it is and how it ended', () => {
    expect(fold(new GithubGroups(), plain).split('\n')).toEqual([
      '#0 building with tsbuild',
      '',
      '#1 [1/2] RUN make',
      '::group::output of #1',
      '#1 0.103 one',
      '#1 0.104 two',
      '::endgroup::',
      '#1 ...',
      '',
      '#2 [a 1/1] RUN other',
      '::group::output of #2',
      '#2 12.001 text',
      '::endgroup::',
      '#2 DONE 12.1s',
      '',
      '#1 [1/2] RUN make',
      '::group::output of #1',
      '#1 13.000 three',
      '::endgroup::',
      '#1 ERROR: exit code 1',
      '',
    ]);
  });

  test('are the same however the text comes, and never nested; without the commands it is the text', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(plain.length), { maxLength: 8 }), (places) => {
        const groups = new GithubGroups();
        const cuts = [0, ...places.toSorted((a, b) => a - b), plain.length];
        const pieces = cuts.slice(1).flatMap((end, at) => groups.fold(plain.slice(cuts[at], end)));
        const all = pieces.map(({ text }) => text).join('');
        expect(all).toBe(fold(new GithubGroups(), plain));
        const lines = pieces.filter(({ command }) => command).flatMap(({ text }) => text.trim().split('\n'));
        lines.forEach((line, at) => expect(line.startsWith('::group::')).toBe(at % 2 === 0));
        const rest = pieces.filter(({ command }) => !command).map(({ text }) => text);
        expect(rest.join('')).toBe(plain);
      }),
    );
  });
});

test('annotations name the place, and no text ends them', () => {
  expect(githubAnnotation('error', 'tsbuild', 'a\nb 100%', { file: 'a,b:c', startLine: 3, endLine: 4 })).toBe(
    '::error file=a%2Cb%3Ac,line=3,endLine=4,title=tsbuild::a%0Ab 100%25\n',
  );
  expect(githubAnnotation('warning', 'Rule', 'text', { startLine: 3 })).toBe('::warning title=Rule::text\n');
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (title, message, file) => {
      const line = githubAnnotation('error', title, message, { file });
      expect(line.indexOf('\n')).toBe(line.length - 1);
      expect(line).not.toContain('\r');
      expect(/^::error file=[^:,]*,title=[^:,]*::/.test(line)).toBe(true);
    }),
  );
});

describe('the summary of a job', () => {
  test('counts steps, says what came from the cache and how long the others took', () => {
    const summary = new JobSummary();
    for (const event of [
      step('[internal] load build definition', 'started', 1000),
      step('[internal] load build definition', 'done', 1100),
      step('[1/2] COPY | `a` /', 'cached', 1100),
      step('[2/2] RUN make', 'started', 1200),
      step('[2/2] RUN make', 'done', 3700),
      step('exporting to image', 'started', 3700),
      step('exporting to image', 'done', 4000),
    ])
      summary.event(event);
    const images = [{ names: ['docker.io/library/web:1'], digest: sha256('x') }];
    const text = summary.format('web:1', images, undefined, ['out/`build`.html']);
    expect(text).toContain('### web:1\n');
    expect(text).toContain('2 steps, 1 from the cache, 3.0 s');
    expect(text).toContain(`- \`docker.io/library/web:1\` \`${sha256('x')}\``);
    expect(text).toContain('- report `out/ˋbuildˋ.html`\n');
    expect(text).toContain('| `[1/2] COPY \\| ˋaˋ /` | cached |  |');
    expect(text).toContain('| `[2/2] RUN make` |  | 2.5 s |');
    expect(text).not.toContain('load build definition');
  });

  test('says what steps used, where any ran', () => {
    const summary = new JobSummary();
    const usage = { userMs: 2000, systemMs: 250, peakMemory: 64e6, readBytes: 0, writtenBytes: 5e6 };
    for (const event of [
      step('[1/2] COPY a /', 'cached', 0),
      step('[2/2] RUN make', 'started', 0),
      { type: 'usage', vertex: sha256('[2/2] RUN make'), usage, at: 900 } as const,
      step('[2/2] RUN make', 'done', 1000),
    ])
      summary.event(event);
    const text = summary.format('web:1', []);
    expect(text).toContain('| step | | time | CPU | memory | written |\n| --- | --- | ---: | ---: | ---: | ---: |\n');
    expect(text).toContain('| `[1/2] COPY a /` | cached |  | | | |\n');
    expect(text).toContain('| `[2/2] RUN make` |  | 1.0 s | 2.3 s | 64.00MB | 5.00MB |\n');
  });

  test('of a failed build says why, and names make no markup', () => {
    const summary = new JobSummary();
    summary.event(step('[1/1] RUN x', 'started', 0));
    summary.event(step('[1/1] RUN x', 'failed', 1));
    const text = summary.format('<img src=x>', [], 'step failed\nhint: do this\u001b[2J');
    expect(text).toContain('### Failed: &#60;img src=x&#62;\n');
    expect(text).toContain('```\nstep failed\nhint: do this');
    expect(text).toContain('**failed**');
    expect(text).not.toContain('\u001b');
  });

  test('a failure is told in a block of code that nothing in it ends (CommonMark, 4.5)', () => {
    const piece = fc.constantFrom(
      '`',
      '``',
      '```',
      '````',
      '~~~',
      ' ',
      '\n',
      'text',
      '<img src=x>',
      '```\n',
      '\n```',
      '   ',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const failure = pieces.join('');
        const [, , open = '', ...lines] = new JobSummary().format('x', [], failure).split('\n');
        expect(open).toMatch(/^`{3,}$/);
        const closes = (line: string): boolean => {
          const [, run = ''] = /^ {0,3}(`+) *$/.exec(line) ?? [];
          return run.length >= open.length;
        };
        expect(lines.findIndex(closes)).toBe(failure.split('\n').length);
      }),
    ); // oxfmt-ignore
  });

  test('of very many steps lists the slowest', () => {
    const summary = new JobSummary();
    for (let at = 0; at < 300; at++) {
      summary.event(step(`[${at}/300] RUN x`, 'started', 0));
      summary.event(step(`[${at}/300] RUN x`, 'done', at));
    }
    const text = summary.format('many', []);
    expect(text).toContain('and 100 faster ones');
    expect(text).toContain('[299/300]');
    expect(text).not.toContain('[99/300]');
  });
});
