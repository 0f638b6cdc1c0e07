import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { describeAsUser, useBench } from '../support/e2e.ts';

describeAsUser('under GitHub Actions', (who) => {
  const use = useBench(who);

  function surroundings(summary: string): Record<string, string> {
    const { bench } = use;
    return {
      CI: 'true',
      GITHUB_ACTIONS: 'true',
      GITHUB_WORKSPACE: bench.dir,
      GITHUB_STEP_SUMMARY: bench.path(summary),
    };
  }

  test('output of steps is folded, warnings stand beside their lines, and the job has a summary', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nMAINTAINER me\nRUN echo hello; echo "::set-output name=x::y"\n');
    const env = surroundings('summary.md');
    const built = await bench.ok(['build', '-t', 'app', context], { env });
    expect(built.err).toMatch(/#\d+ \[2\/2\] RUN echo hello[^\n]*\n::group::output of #(\d+)\n#\1 [\d.]+ hello\n/);
    expect(built.err, 'a step gives no commands').not.toMatch(/^(#\d+ [\d.]+ )?::set-output/m);
    const file = `${context.slice(bench.dir.length + 1)}/Dockerfile`;
    expect(built.err).toContain(`::warning file=${file},line=2,endLine=2,title=MaintainerDeprecated::`);
    await bench.ok(['build', '-t', 'app', context], { env });
    const summary = readFileSync(bench.path('summary.md'), 'utf8');
    expect(summary).toMatch(/### app\n\n\d+ steps, 0 from the cache/);
    expect(summary).toMatch(/\d+ steps, [1-9]\d* from the cache/);
    expect(summary).toMatch(/- `docker\.io\/library\/app:latest` `sha256:[0-9a-f]{64}`/);
  });

  test('a failure stands beside its line, too', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN true\nRUN echo "::error::forged"; exit 3\n');
    const failed = await bench.tsbuild(['build', context], { env: surroundings('failed.md') });
    expect(failed.code).toBe(1);
    expect(failed.err).toMatch(/^::error file=context\d+\/Dockerfile,line=3,endLine=3,title=tsbuild::process /m);
    expect(failed.err.match(/^::error/gm)).toHaveLength(1);
    expect(readFileSync(bench.path('failed.md'), 'utf8')).toContain('### Failed: ');
  });

  test('nothing of that elsewhere, with rawjson, or when it is not wanted', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN echo hello\n');
    const without = await bench.ok(['build', context]);
    expect(without.err).not.toContain('::');
    const raw = await bench.ok(['build', '--progress=rawjson', '--no-cache', context], {
      env: surroundings('none.md'),
    });
    expect(raw.err).not.toContain('::group');
    await bench.ok(['build', context], { env: { ...surroundings('none.md'), TSBUILD_JOB_SUMMARY: '0' } });
    expect(() => readFileSync(bench.path('none.md'))).toThrow('ENOENT');
    const unwritable = await bench.ok(['build', context], {
      env: { ...surroundings('x'), GITHUB_STEP_SUMMARY: '/nonexistent/x' },
    });
    expect(unwritable.err).toContain('Cannot write the summary of the job');
  });
});
