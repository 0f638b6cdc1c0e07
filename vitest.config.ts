import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const seeded = fileURLToPath(new URL('test/support/seeded-fast-check.ts', import.meta.url));
const fuzz = Number(process.env['TSBUILD_FUZZ'] ?? '1');

/** Directories whose tests start the command, the worker or the helper again and again. */
const LONG = /\/test\/(e2e|native|runtime|sandbox|security|suites|torture|worker)\//;

/**
 * Folders whose tests leave nothing behind in their process. Their files share processes: to start one for each and to load the same
 * modules there takes as long as the tests themselves.
 */
const SHARING = [
  'cdi', 'cli', 'engine', 'events', 'explain', 'exporter', 'frontend', 'image', 'limits', 'llb', 'object-store', 'ops', 'patterns', 'pins',
  'progress', 'registry', 'remote-cache', 'secrets', 'solver', 'source-policy', 'util',
]; // oxfmt-ignore

/** Those in these folders that start tsbuild all the same, or measure what their process takes: memory that others left would count. */
const ALONE = [
  'cli/help', 'cli/run-flags', 'cli/unknown-options', 'cli/words', 'frontend/convert/effort', 'frontend/dockerfile/hostile',
  'frontend/mutations',
].map((name) => `test/${name}.test.ts`); // oxfmt-ignore

const files = globSync('test/**/*.test.ts', { cwd: import.meta.dirname });
const isSharing = (file: string): boolean => SHARING.includes(file.split('/')[1] ?? '') && !ALONE.includes(file);

/**
 * Tests that take long begin first: in the end there are but short ones, so that nobody waits for the last long one of another. Those that
 * share processes follow one another, for a process goes on with the next file only.
 */
class LongFirst extends BaseSequencer {
  override async sort(specifications: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(specifications);
    const place = ({ moduleId, project }: TestSpecification): number =>
      LONG.test(moduleId) ? 0 : project.config.isolate ? 1 : 2;
    return sorted.toSorted((one, other) => place(one) - place(other));
  }
}

export default defineConfig({
  // Properties are tried on the same values in every run, and TSBUILD_FUZZ=30 tries thirty times as many others.
  plugins: [
    {
      name: 'seeded-properties',
      enforce: 'pre',
      resolveId: (id: string, importer?: string) => (id === 'fast-check' && importer !== seeded ? seeded : null),
    },
  ],
  test: {
    globalSetup: ['test/support/shared-directory.ts'],
    testTimeout: 180_000 * Math.max(1, fuzz),
    hookTimeout: 240_000,
    // What is waited for with `expect.poll` comes when it comes, on a busy machine late.
    expect: { poll: { timeout: 60_000, interval: 20 } },
    sequence: { sequencer: LongFirst },
    pool: 'forks',
    // Tests of the whole command mostly wait for other processes.
    maxWorkers: '100%',
    projects: [
      // Files by name, for what is excluded on the command line is not by a project that excludes some itself.
      { extends: true, test: { name: 'alone', include: files.filter((file) => !isSharing(file)) } },
      {
        extends: true,
        test: { name: 'sharing', include: files.filter(isSharing), isolate: false, env: { TSBUILD_TEST_SHARES: '1' } },
      },
    ],
  },
});
