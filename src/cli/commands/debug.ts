import { Store } from '../../store/index.ts';
import { statIfThere, TsbuildError } from '../../util/index.ts';
import { parseBuildRequest } from '../options/build-request.ts';
import type { CliContext } from '../context.ts';
import { lastBuild } from '../building/last-build.ts';
import { storeRoot } from '../store-root.ts';
import { type BuildOptions, harmlessContext } from '../building/build-display.ts';
import { buildRequested } from './full-build.ts';
import { runCommand } from './run.ts';

/**
 * `tsbuild debug`: does the last build again, up to the step that fails or that was named, and opens a shell there. Nothing is exported.
 * @param step a part of the name of a step
 */
export async function debugCommand(
  caller: CliContext,
  step: string | undefined,
  { progress }: { readonly progress: string },
): Promise<number> {
  if (step === '')
    throw new TsbuildError('TSB_USAGE', 'Cannot look into step "": every step has that in its name', {
      hint: 'name a part of the instruction, or nothing: then the step that fails is meant',
    });
  const known = await knownBuild(caller);
  // What is exported or pushed was asked for once, not now.
  const {
    output: _output,
    tag: _tag,
    push: _push,
    load: _load,
    cacheTo: _cacheTo,
    quiet: _quiet,
    ...rest
  } = known.options;
  const options: BuildOptions = {
    ...rest,
    progress,
    output: ['type=cacheonly'],
    onFailure: 'shell',
    ...(step === undefined ? {} : { visitStep: step }),
  };
  const context = harmlessContext(inDirectory(caller, known.cwd), options);
  const request = await parseBuildRequest(context, known.path, options);
  const code = await buildRequested(context, request, options);
  if (code === 0) caller.stderr.write('Nothing fails any more: the build went through, and nothing was exported\n');
  return code;
}

async function knownBuild(context: CliContext): Promise<NonNullable<ReturnType<typeof lastBuild>>> {
  const store = Store.open(storeRoot(context), { now: context.now, onWarning: () => undefined });
  try {
    const known = lastBuild(store);
    if (known === undefined)
      throw new TsbuildError('TSB_NOT_FOUND', 'Cannot look into the last build: the store knows of none', {
        hint: 'build with --on-failure=shell',
      });
    if (!statIfThere(known.cwd)?.isDirectory())
      throw new TsbuildError('TSB_NOT_FOUND', `Cannot do the last build again: ${JSON.stringify(known.cwd)} is gone`);
    return known;
  } finally {
    store.close();
  }
}

/** The context as it is for somebody who typed the command elsewhere. */
function inDirectory(context: CliContext, cwd: string): CliContext {
  // Not a copy: standard input is made when it is first asked for.
  return Object.create(context, { cwd: { value: cwd, enumerable: true } }) as CliContext;
}

/** Options of `shell` besides those that decide what the graph is. */
export interface ShellOptions extends BuildOptions {
  readonly command?: string;
}

/** `tsbuild shell`: builds a stage and opens a shell in a container of it. @returns the shell's exit code */
export async function shellCommand(
  caller: CliContext,
  stage: string,
  path: string,
  options: ShellOptions,
): Promise<number> {
  const { command, ...rest } = options;
  const build: BuildOptions = { ...rest, target: stage };
  const context = harmlessContext(caller, build);
  let id: string | undefined;
  const code = await buildRequested(context, await parseBuildRequest(context, path, build), build, {
    onBuilt: (metadata) => {
      id = metadata['containerimage.digest'];
    },
  });
  if (code !== 0 || id === undefined) return code;
  const isTerminal = caller.stdin.isTTY === true;
  return runCommand(caller, id, ['-c', command ?? 'command -v bash >/dev/null 2>&1 && exec bash; exec sh'], {
    entrypoint: '/bin/sh',
    network: ['host'],
    interactive: true,
    tty: command === undefined && isTerminal && caller.stdout.isTTY === true,
    ...(caller.env['TERM'] === undefined ? {} : { env: [`TERM=${caller.env['TERM']}`] }),
  });
}
