import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const seeded = fileURLToPath(new URL('test/support/seeded-fast-check.ts', import.meta.url));
const fuzz = Number(process.env['TSBUILD_FUZZ'] ?? '1');

/** Directories whose tests start the command, the worker or the helper again and again. */
const LONG = /\/test\/(e2e|native|runtime|sandbox|security|suites|torture|worker)\//;

/** Tests that take long begin first: in the end there are but short ones, so that nobody waits for the last long one of another. */
class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isShort = ({ moduleId }: TestSpecification): number => Number(!LONG.test(moduleId));
    return sorted.toSorted((one, other) => isShort(one) - isShort(other));
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
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/shared-directory.ts'],
    testTimeout: 180_000 * Math.max(1, fuzz),
    hookTimeout: 240_000,
    // What is waited for with `expect.poll` comes when it comes, on a busy machine late.
    expect: { poll: { timeout: 60_000, interval: 20 } },
    sequence: { sequencer: LongFirst },
    pool: 'forks',
    // Tests of the whole command mostly wait for other processes.
    maxWorkers: '100%',
  },
});
