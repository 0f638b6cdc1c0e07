import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { BuildOptions } from '../../src/cli/building/build-display.ts';
import { githubContext, GithubReport } from '../../src/cli/building/github.ts';
import { TsbuildError } from '../../src/util/index.ts';
import { type FakeContext, fakeContext } from '../fakes/cli-context.ts';
import { vertexEvent as step } from '../support/vertex-event.ts';

const dir = fs.mkdtempSync(join(tmpdir(), 'tsbuild-github-'));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));
let count = 0;

/** A job of GitHub Actions, with its summary. */
function job(env: Record<string, string> = {}): { readonly context: FakeContext; readonly summary: () => string } {
  const path = join(dir, `summary-${count++}`);
  const context = fakeContext({ cwd: '/repo/app', env: { GITHUB_WORKSPACE: '/repo', GITHUB_STEP_SUMMARY: path, ...env } });
  return { context, summary: () => (fs.existsSync(path) ? fs.readFileSync(path, 'utf8') : '') };
} // oxfmt-ignore
const options = (more: Partial<BuildOptions> = {}): BuildOptions => ({ progress: 'auto', ...more });
const warning = { code: 'StageNameCasing', message: 'Stage name must be lowercase' };
const range = { startLine: 3, endLine: 4, startColumn: 0, endColumn: 1, file: 'Dockerfile' };

describe('what a build tells GitHub Actions', () => {
  test('is a summary of the job: the steps, and what was made', () => {
    const { context, summary } = job();
    const report = new GithubReport(context, '.', options({ tag: ['app:1', 'app:2'], report: ['json', 'page.html'] }));
    for (const event of [step('RUN make', 'started', 0), step('RUN make', 'done', 1500), step('COPY a /', 'cached', 1600)])
      report.event(event); // oxfmt-ignore
    report.built({ 'image.name': 'app:1,app:2', 'containerimage.digest': 'sha256:abc' });
    report.done([]);
    expect(summary()).toMatch(/^### app:1$/m);
    expect(summary()).toContain('RUN make');
    expect(summary()).toMatch(/app:1.*app:2|app:1[^]*app:2/);
    expect(summary()).toContain('sha256:abc');
    expect(summary()).toContain('page.html');
    expect(context.err()).toBe('');
  });

  test('warnings and failures are beside the lines that they are about, from the top of the repository', () => {
    const { context, summary } = job();
    const report = new GithubReport(context, 'sub', options());
    report.done([{ ...warning, ranges: [range] } as never]);
    expect(context.err()).toBe(
      '::warning file=app/sub/Dockerfile,line=3,endLine=4,title=StageNameCasing::Stage name must be lowercase\n',
    );
    report.failed(new TsbuildError('TSB_STEP', 'RUN failed', { hint: 'see above', ranges: [range] }));
    expect(context.err()).toMatch(/^::error file=app\/sub\/Dockerfile,line=3,endLine=4,title=tsbuild::RUN failed$/m);
    expect(summary()).toMatch(/^### Failed: sub$/m);
    expect(summary()).toContain('hint: see above');
  });

  test.each<[string, string, Partial<BuildOptions>, string | undefined]>([
    ['the context is the repository', '/repo', {}, 'Dockerfile'],
    ['-f names it', '.', { file: '../build/x.Dockerfile' }, 'build/x.Dockerfile'],
    ['it lies outside of the repository', '.', { file: '/etc/Dockerfile' }, undefined],
    ['it comes from standard input', '.', { file: '-' }, undefined],
    ['the context comes from standard input', '-', {}, undefined],
    ['the context is another repository', 'https://git.test/x.git', {}, undefined],
    ['the context is another repository, by ssh', 'git@git.test:x.git', {}, undefined],
  ])('the file where %s', (_where, path, more, file) => {
    const { context } = job();
    new GithubReport(context, path, options(more)).done([{ ...warning, ranges: [range] } as never]);
    if (file === undefined) expect(context.err()).not.toContain('file=');
    else expect(context.err()).toContain(`file=${file},line=3`);
  });

  describe('the file as the build finds it', () => {
    const top = join(dir, 'repo');
    const touch = (path: string): void => {
      fs.mkdirSync(dirname(join(top, path)), { recursive: true });
      fs.writeFileSync(join(top, path), 'FROM scratch\n');
    };
    for (const path of ['app/ctx/only/Dockerfile', 'app/both/Dockerfile', 'app/ctx/both/Dockerfile', '..hidden/Dockerfile', 'lower/dockerfile'])
      touch(path); // oxfmt-ignore

    test.each<[string, string, string | undefined, string | undefined]>([
      ['in the context, where -f is only there', 'ctx', 'only/Dockerfile', 'app/ctx/only/Dockerfile'],
      ['from the working directory, where -f is there, too', 'ctx', 'both/Dockerfile', 'app/both/Dockerfile'],
      ['in lower case', '../lower', undefined, 'lower/dockerfile'],
      ['in lower case where -f spells it otherwise', '.', '../lower/Dockerfile', 'lower/dockerfile'],
      ['in a directory that begins with two dots', '../..hidden', undefined, '..hidden/Dockerfile'],
      ['in another repository, where -f is about that', 'https://git.test/x.git', 'both/Dockerfile', undefined],
      ['in a repository that is named without a scheme', 'github.com/a/b', undefined, undefined],
      ['on the web', '.', 'https://web.test/Dockerfile', undefined],
      ['on this machine beside another repository', 'https://git.test/x.git', join(top, 'app/both/Dockerfile'), 'app/both/Dockerfile'],
    ])('%s', (_where, path, file, place) => {
      const context = fakeContext({ cwd: join(top, 'app'), env: { GITHUB_WORKSPACE: top } });
      const report = new GithubReport(context, path, options(file === undefined ? {} : { file }));
      report.done([{ ...warning, ranges: [range] } as never]);
      if (place === undefined) expect(context.err()).not.toContain('file=');
      else expect(context.err()).toContain(`file=${place},line=3`);
    }); // oxfmt-ignore
  });

  test('what is about no line has no place', () => {
    const { context } = job();
    new GithubReport(context, '.', options()).failed(new TsbuildError('TSB_USAGE', 'Cannot\nbuild'));
    expect(context.err()).toBe('::error title=tsbuild::Cannot%0Abuild\n');
  });

  test.each([{ TSBUILD_JOB_SUMMARY: '0' }, { DOCKER_BUILD_SUMMARY: 'false' }, { GITHUB_STEP_SUMMARY: '' }])(
    'no summary with %j',
    (env) => {
      const { context, summary } = job(env);
      new GithubReport(context, '.', options()).done([]);
      expect(summary()).toBe('');
      expect(context.err()).toBe('');
    },
  );

  test('a summary that cannot be written is a warning', () => {
    const { context } = job({ GITHUB_STEP_SUMMARY: join(dir, 'none', 'summary') });
    new GithubReport(context, '.', options()).done([]);
    expect(context.err()).toMatch(/^warning: Cannot write the summary of the job: ENOENT/);
  });
});

describe('the context of a build whose log GitHub shows', () => {
  const contexts = (more: Partial<BuildOptions> = {}) => {
    const [harmless, raw] = [job().context, job().context];
    return { harmless, raw, made: githubContext(harmless, raw, '.', options(more)) };
  };

  test('is as it is for programs', () => {
    const { harmless, made } = contexts({ progress: 'rawjson' });
    expect(made).toBe(harmless);
    expect(made.report).toBeUndefined();
  });

  test('has somebody to report to, and no groups where nothing is shown', () => {
    for (const more of [{ quiet: true }, { progress: 'tty' }] as const) {
      const { made, harmless } = contexts(more);
      expect(made.report).toBeInstanceOf(GithubReport);
      made.stderr.write('#1 [1/1] RUN make\n');
      expect(harmless.err()).toBe('#1 [1/1] RUN make\n');
    }
  });

  test('folds what steps print, and no step gives the runner a command', () => {
    const { made, harmless, raw } = contexts({ progress: 'plain' });
    const lines = ['#1 [1/1] RUN make', '#1 0.100 ::error::mine', '#1 0.200 ::endgroup::', '#1 DONE 0.3s', ''];
    made.stderr.write(`${lines.join('\n')}\n`);
    // Ours alone reach the stream that nothing is taken from.
    expect(raw.err()).toBe('::group::output of #1\n::endgroup::\n');
    expect(harmless.err()).toContain('::error::mine');
    expect(raw.err()).not.toContain('mine');
  });
});
