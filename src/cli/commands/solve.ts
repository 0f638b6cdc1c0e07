import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type BuildRequest, emptyRequest, type ForeignDefinition } from '../../engine/index.ts';
import { type ImageConfig, MAX_CONFIG_BYTES, parseImageConfig, parsePlatform } from '../../image/index.ts';
import { MAX_DEFINITION_BYTES, readDefinition } from '../../llb/index.ts';
import { parseCacheFrom, parseCacheTo } from '../../remote-cache/index.ts';
import { policyFiles, readSourcePolicies } from '../../source-policy/index.ts';
import { collect, fromErrno, parseEpoch, TsbuildError } from '../../util/index.ts';
import { parseAllow } from '../options/allow.ts';
import { parseJobs, parseTimeouts } from '../options/build-request.ts';
import type { CliContext } from '../context.ts';
import { parsePairs } from '../options/options.ts';
import { parsePidsLimit, parseResources } from '../options/resource-options.ts';
import { parseSecrets } from '../options/secrets.ts';
import { parseSsh } from '../options/ssh.ts';
import { type BuildOptions, harmlessContext } from '../building/build-display.ts';
import { buildRequested } from './full-build.ts';

/** Options of `solve` as commander gives them. */
export interface SolveOptions extends Omit<BuildOptions, 'platform'> {
  readonly local?: readonly string[];
  readonly ociLayout?: readonly string[];
  readonly imageConfig?: string;
  readonly platform?: string;
  readonly importCache?: readonly string[];
  readonly exportCache?: readonly string[];
  readonly sourcePolicyFile?: readonly string[];
}

/** `tsbuild solve`. @param file the definition; `-` is standard input */
export async function solveCommand(caller: CliContext, file: string, options: SolveOptions): Promise<number> {
  const { platform: _platform, ...shared } = options;
  const context = harmlessContext(caller, shared);
  return buildRequested(context, await parseSolveRequest(context, file, options), shared);
}

/** @throws TsbuildError `TSB_USAGE` for options, `TSB_LLB` for what is no definition */
async function parseSolveRequest(context: CliContext, file: string, options: SolveOptions): Promise<BuildRequest> {
  const { cwd, env } = context;
  const { entitlements, devices } = parseAllow(options.allow ?? []);
  const sourceDateEpoch = parseEpoch(options.sourceDateEpoch ?? env['SOURCE_DATE_EPOCH']);
  // Everything that was typed is looked at before standard input is waited for.
  const request: Omit<BuildRequest, 'definition'> = {
    ...emptyRequest,
    platforms: options.platform === undefined ? [] : [parsePlatform(options.platform)],
    noCache: options.cache === false,
    pull: options.pull ?? false,
    ...(options.pidsLimit === undefined ? {} : { processLimit: parsePidsLimit(options.pidsLimit) }),
    ...parseResources(options),
    entitlements,
    devices,
    secrets: parseSecrets(context, options.secret ?? []),
    ssh: parseSsh(context, options.ssh ?? []),
    ...(sourceDateEpoch === undefined ? {} : { sourceDateEpoch }),
    cacheFrom: parseCacheFrom(cwd, [...(options.cacheFrom ?? []), ...(options.importCache ?? [])], env),
    cacheTo: parseCacheTo(cwd, [...(options.cacheTo ?? []), ...(options.exportCache ?? [])], env),
    ...parseTimeouts(options),
    jobs: parseJobs(options.jobs),
    sourcePolicies: readSourcePolicies(
      policyFiles(cwd, env, [...(options.sourcePolicy ?? []), ...(options.sourcePolicyFile ?? [])]),
    ),
  };
  const places = {
    locals: await parseDirectories(context, '--local', options.local ?? []),
    layouts: await parseDirectories(context, '--oci-layout', options.ociLayout ?? []),
  };
  const config = options.imageConfig === undefined ? undefined : await readConfig(context, options.imageConfig);
  const foreign: ForeignDefinition = {
    ...places,
    definition: readDefinition(await readInput(context, file, 'the definition', MAX_DEFINITION_BYTES)),
    ...(config === undefined ? {} : { config }),
  };
  return { ...request, definition: foreign };
}

/** `--local` and `--oci-layout`: names of the graph to directories. */
async function parseDirectories(
  { cwd }: CliContext,
  flag: string,
  values: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const named = parsePairs(flag, values);
  for (const [name, path] of named) {
    const dir = resolve(cwd, path);
    const found = await stat(dir).catch((error: unknown) => {
      throw fromErrno(error, `Cannot use ${flag} ${JSON.stringify(`${name}=${path}`)}`, 'TSB_USAGE');
    });
    if (!found.isDirectory())
      throw new TsbuildError(
        'TSB_USAGE',
        `Cannot use ${flag} ${JSON.stringify(`${name}=${path}`)}: it is not a directory`,
      );
    named.set(name, dir);
  }
  return named;
}

async function readConfig(context: CliContext, file: string): Promise<ImageConfig> {
  return parseImageConfig(
    await readInput(context, file, 'the image config', MAX_CONFIG_BYTES),
    `image config "${file}"`,
  );
}

/** A file, or standard input. @param what names it in messages */
async function readInput(context: CliContext, file: string, what: string, maxBytes: number): Promise<Buffer> {
  const doing = `Cannot read ${what} from ${file === '-' ? 'standard input' : JSON.stringify(file)}`;
  if (file === '-' && context.stdin.isTTY)
    throw new TsbuildError('TSB_USAGE', `${doing}: it is a terminal`, {
      hint: 'name a file, or pipe one in: tsbuild llb . | tsbuild solve --local context=.',
    });
  try {
    const data = file === '-' ? context.stdin : createReadStream(resolve(context.cwd, file));
    const tooMuch = (): TsbuildError => new TsbuildError('TSB_USAGE', `${doing}: it has more than ${maxBytes} bytes`);
    const bytes = await collect(data as AsyncIterable<Uint8Array>, { maxBytes, tooMuch });
    if (bytes.length > 0) return bytes;
  } catch (error) {
    throw fromErrno(error, doing, 'TSB_USAGE');
  }
  throw new TsbuildError('TSB_USAGE', `${doing}: it is empty`);
}
