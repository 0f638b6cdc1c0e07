import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { describeAsEveryone, useBench } from '../support/e2e.ts';
import { programPath } from '../support/program.ts';

const HOOK = fileURLToPath(new URL('../support/loaded-modules.cjs', import.meta.url));

interface Loaded {
  readonly builtin: readonly string[];
  readonly bundles: readonly string[];
}

/** What Node loads for modules. */
const SILENT = ['module', 'os', 'process', 'timers/promises', 'vm'];
/** The same with the standard streams, when something is said. */
const START = [...SILENT, 'stream', 'stream/promises', 'string_decoder'];

/**
 * A build from the cache is mostly start-up: a module that it loads without need costs 0.5 to 5 ms of some 60. What is added here needs a
 * reason; what is not needed any more is to be taken out.
 */
describeAsEveryone('a build from the cache', (who) => {
  const use = useBench(who);

  test('loads no more modules than it needs', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN --network=none true\nCOPY . /app\n', { one: 'one\n' });
    const result = bench.path('loaded.json');
    const launch = join(dirname(programPath()), 'launch.cjs');
    const loaded = async (args: readonly string[]): Promise<Loaded> => {
      const build = [process.execPath, '--require', HOOK, launch, 'build', ...args, context];
      let text = '';
      // The first runs it, the second remembers it.
      for (let round = 0; round < 3; round++) {
        const { code, err } = await bench.start(build, { env: { TSBUILD_TEST_LOADED: result } }).ended;
        expect(err).toBe('');
        expect(code).toBe(0);
        text = readFileSync(result, 'utf8');
      }
      return JSON.parse(text) as Loaded;
    };
    const quiet = ['-q', '-t', 'loaded'];
    const archive = ['-q', '-o', `type=oci,dest=${bench.path('loaded.tar')}`];
    expect(await loaded(quiet)).toEqual({ builtin: [...START, 'net', 'sqlite'].sort(), bundles: ['cli.cjs'] });
    expect(await loaded(['--progress', 'quiet', '-t', 'loaded'])).toEqual({
      builtin: [...SILENT, 'sqlite'].sort(),
      bundles: ['cli.cjs'],
    });
    expect(await loaded(archive)).toEqual({
      builtin: [...START, 'crypto', 'net', 'sqlite'].sort(),
      bundles: ['cli.cjs'],
    });
    // Not remembered, and found in the cache step by step.
    const general = await loaded([...archive, '--build-context', 'unused=.']);
    expect(general).toEqual({
      builtin: [...START, 'crypto', 'net', 'path/posix', 'sqlite', 'zlib'].sort(),
      bundles: ['cli.cjs', 'rest.cjs'],
    });
  });
});
