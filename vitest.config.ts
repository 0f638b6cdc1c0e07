import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const scaled = fileURLToPath(new URL('test/support/scaled-fast-check.ts', import.meta.url));
const fuzz = Number(process.env['TSBUILD_FUZZ'] ?? '1');

export default defineConfig({
  // TSBUILD_FUZZ=30 tries each property thirty times as often.
  plugins: [
    {
      name: 'more-runs',
      enforce: 'pre',
      resolveId: (id: string, importer?: string) =>
        fuzz !== 1 && id === 'fast-check' && importer !== scaled ? scaled : null,
    },
  ],
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/shared-directory.ts'],
    testTimeout: 120_000 * Math.max(1, fuzz),
    hookTimeout: 120_000,
    pool: 'forks',
    // Tests of the whole command mostly wait for other processes.
    maxWorkers: '100%',
  },
});
