import { Recall } from '../../recall/index.ts';
import { Store } from '../../store/index.ts';
import type { CliContext } from '../context.ts';
import { recallKey } from '../building/recall-key.ts';
import { TsbuildError } from '../../util/index.ts';
import { type Call, parseCall } from '../options/call-option.ts';
import { storeRoot } from '../store-root.ts';
import { type BuildOptions, harmlessContext } from '../building/build-display.ts';
import type { BuildMemory } from './full-build.ts';
import { showAgain } from '../building/show-again.ts';

/** `tsbuild build`. @param paths the context; several, and patterns, only with `--check` */
export async function buildCommand(
  caller: CliContext,
  paths: readonly string[],
  options: BuildOptions,
): Promise<number> {
  const harmless = harmlessContext(caller, options);
  const call = calledMethod(options);
  if (call.method === 'check') {
    const { checkCommand } = await import('./check.ts');
    const code = await checkCommand(harmless, paths, options, call.json);
    return call.ignoresStatus ? 0 : code;
  }
  if (options.fix || options.unsafeFixes)
    throw new TsbuildError('TSB_USAGE', `Cannot use ${options.fix ? '--fix' : '--unsafe-fixes'} without --check`, {
      hint: 'write --check --fix',
    });
  const [path = '.', ...others] = paths;
  if (others.length > 0)
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot use ${JSON.stringify(others[0])}: the context is ${JSON.stringify(path)}`,
      {
        hint: 'a build has one context; several arguments are for --check',
      },
    );
  if (call.method !== 'build') {
    const { callCommand } = await import('../building/call.ts');
    return callCommand(harmless, path, options, call);
  }
  const context = await reportingContext(harmless, caller, path, options);
  using memory = openMemory(context, path, options);
  {
    using remembered = memory?.recall.find();
    if (memory && remembered) {
      await requireAskedRung(context, options);
      return await showAgain(context, options, memory.store, remembered);
    }
  }
  // Most of the program, which a build that is remembered does without.
  const { fullBuild } = await import('./full-build.ts');
  return await fullBuild(context, path, options, memory);
}

/** What is remembered shows nothing of a rung that this machine lacks. @throws TsbuildError `TSB_USAGE`, `TSB_SANDBOX` */
async function requireAskedRung(context: CliContext, { isolation }: BuildOptions): Promise<void> {
  const asked = isolation ?? context.env['TSBUILD_ISOLATION'];
  if (!asked || asked === 'auto') return;
  const { parseIsolation, requireRung } = await import('../../sandbox/index.ts');
  const helper = context.env['TSBUILD_HELPER'];
  await requireRung({
    isolation: parseIsolation(asked),
    root: storeRoot(context),
    ...(helper ? { helper } : {}),
  });
}

/** Under GitHub Actions what the build has to say goes further than its log. */
async function reportingContext(
  context: CliContext,
  raw: CliContext,
  path: string,
  options: BuildOptions,
): Promise<CliContext> {
  if (raw.env['GITHUB_ACTIONS'] !== 'true') return context;
  const { githubContext } = await import('../building/github.ts');
  return githubContext(context, raw, path, options);
}

/** `--check` goes well with a `--call=check` that says how to print it. */
function calledMethod({ check, call = '' }: BuildOptions): Call {
  const called = parseCall(call);
  return check === true && called.method !== 'check' ? parseCall('check') : called;
}

/** The store's memory for what was typed; undefined for builds that are not remembered, and where the store cannot be opened. */
function openMemory(context: CliContext, path: string, options: BuildOptions): (BuildMemory & Disposable) | undefined {
  const key = recallKey(context, path, options);
  if (key === undefined) return undefined;
  const early: string[] = [];
  let warn = (message: string): void => void early.push(message);
  try {
    const store = Store.open(storeRoot(context), { now: context.now, onWarning: ({ message }) => warn(message) });
    return {
      store,
      recall: new Recall(store, key),
      onWarning(listener) {
        warn = listener;
        for (const message of early.splice(0)) listener(message);
      },
      [Symbol.dispose]: () => store.close(),
    };
  } catch {
    // The build opens it again, and says what is wrong.
    return undefined;
  }
}
