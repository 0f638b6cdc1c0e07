import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/**
 * A reporter of vitest that adds to `{"passed": N, "failed": N}` in the file `$TEST_COUNTS`. Failed is all that makes a run fail: tests, and what is no
 * test, which vitest's own JSON report leaves out: files and groups that could not be set up or did not end, errors outside of tests.
 */
export default class CountReporter {
  onTestRunEnd(modules, unhandledErrors) {
    const parts = modules.flatMap((module) => [module, ...module.children.allSuites()]);
    const states = modules.flatMap((module) => [...module.children.allTests()].map((test) => test.result().state));
    const passed = states.filter((state) => state === 'passed').length;
    const failed =
      states.filter((state) => state === 'failed' || state === 'pending').length +
      parts.filter((part) => part.errors().length > 0 || ['queued', 'pending'].includes(part.state())).length +
      unhandledErrors.length;
    const file = process.env.TEST_COUNTS;
    const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
    const before = text === '' ? { passed: 0, failed: 0 } : JSON.parse(text);
    writeFileSync(file, JSON.stringify({ passed: before.passed + passed, failed: before.failed + failed }));
  }
}
