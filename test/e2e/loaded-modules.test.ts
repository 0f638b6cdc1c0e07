import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Bench } from '../support/bench.ts';
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

/** Runs a command three times, the last of which counts: the first runs what is to be remembered, the second remembers it. */
async function loaded(bench: Bench, args: readonly string[]): Promise<Loaded> {
  const result = bench.path('loaded.json');
  const launch = join(dirname(programPath()), 'launch.cjs');
  let text = '';
  for (let round = 0; round < 3; round++) {
    const command = [process.execPath, '--require', HOOK, launch, ...args];
    const { code, err } = await bench.start(command, { env: { TSBUILD_TEST_LOADED: result } }).ended;
    expect(err).toBe('');
    expect(code).toBe(0);
    text = readFileSync(result, 'utf8');
  }
  return JSON.parse(text) as Loaded;
}

/**
 * A build from the cache is mostly start-up: a module that it loads without need costs 0.5 to 5 ms of some 60. What is added here needs a
 * reason; what is not needed any more is to be taken out.
 */
describeAsEveryone('a build from the cache', (who) => {
  const use = useBench(who);

  test('loads no more modules than it needs', async () => {
    const { bench } = use;
    const context = bench.context('FROM base:1\nRUN --network=none true\nCOPY . /app\n', { one: 'one\n' });
    const build = (args: readonly string[]): Promise<Loaded> => loaded(bench, ['build', ...args, context]);
    const quiet = ['-q', '-t', 'loaded'];
    const archive = ['-q', '-o', `type=oci,dest=${bench.path('loaded.tar')}`];
    expect(await build(quiet)).toEqual({ builtin: [...START, 'net', 'sqlite'].sort(), bundles: ['cli.cjs'] });
    expect(await build(['--progress', 'quiet', '-t', 'loaded'])).toEqual({
      builtin: [...SILENT, 'sqlite'].sort(),
      bundles: ['cli.cjs'],
    });
    expect(await build(archive)).toEqual({ builtin: [...START, 'net', 'sqlite'].sort(), bundles: ['cli.cjs'] });
    // Not remembered, and found in the cache step by step.
    const general = await build([...archive, '--build-context', 'unused=.']);
    expect(general).toEqual({
      builtin: [...START, 'net', 'path/posix', 'sqlite', 'zlib'].sort(),
      bundles: ['cli.cjs', 'rest.cjs', 'run.cjs'],
    });
  });
});

/** So are these; `exec` has no need of the index either. */
describeAsEveryone('what runs in containers', (who) => {
  const use = useBench(who);

  test('takes no more modules to start than it needs', async () => {
    const { bench } = use;
    const network = ['--network', 'host'];
    await bench.ok(['run', '-d', '--name', 'service', ...network, 'base:1', 'sleep', '1000']);
    expect(await loaded(bench, ['exec', 'service', 'true'])).toEqual({
      builtin: [...START, 'net'].filter((name) => name !== 'timers/promises').sort(),
      bundles: ['cli.cjs', 'run.cjs'],
    });
    expect(await loaded(bench, ['run', '--rm', ...network, 'base:1', 'true'])).toEqual({
      builtin: [...SILENT, 'sqlite'].sort(),
      bundles: ['cli.cjs', 'run.cjs'],
    });
    await bench.ok(['rm', '-f', 'service']);
  });
});
