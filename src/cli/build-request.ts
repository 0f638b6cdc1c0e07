import { availableParallelism } from 'node:os';
import { existsSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { BuildRequest, SecretSource } from '../build/index.ts';
import { errnoOf, parsePlatform, parseSize, type SourceFile, suggest, TsbuildError } from '../util/index.ts';
import type { CliContext } from './context.ts';
import { parseLists, parsePairs } from './options.ts';

/** Options of `build` and `llb` as commander gives them. */
export interface GraphOptions {
  readonly file?: string;
  readonly target?: string;
  readonly platform?: readonly string[];
  readonly buildArg?: readonly string[];
  readonly label?: readonly string[];
  readonly buildContext?: readonly string[];
  /** `--no-cache` sets it to false. */
  readonly cache?: boolean;
  readonly cacheFilter?: readonly string[] | boolean;
  readonly pull?: boolean;
  readonly network?: string;
  readonly addHost?: readonly string[];
  readonly shmSize?: string;
  readonly ulimit?: readonly string[];
  readonly allow?: readonly string[];
  readonly secret?: readonly string[];
  readonly ssh?: readonly string[];
  readonly sourceDateEpoch?: string;
  readonly strict?: boolean;
  readonly jobs?: string;
}

/** Commands that a mistyped first word may have meant. */
const COMMANDS = ['build', 'run', 'llb', 'images', 'rmi', 'import', 'save', 'du', 'prune', 'store', 'doctor', 'help'];

/**
 * Turns arguments into a request: paths are made absolute, values checked.
 * @throws TsbuildError `TSB_USAGE`
 */
export async function parseBuildRequest(
  context: CliContext,
  path: string,
  options: GraphOptions,
): Promise<BuildRequest> {
  const { env, cwd } = context;
  const contextDir = resolve(cwd, path);
  requireDirectory(contextDir, path);
  const dockerfile = await findDockerfile(context, contextDir, options.file);
  const target = options.target;
  const epoch = options.sourceDateEpoch ?? env['SOURCE_DATE_EPOCH'];
  const network = parseNetwork(options.network);
  const noCacheStages = parseLists(Array.isArray(options.cacheFilter) ? options.cacheFilter : []);
  return {
    contextDir,
    ...(dockerfile === undefined ? {} : { dockerfile }),
    ...(target === undefined ? {} : { target }),
    platforms: parseLists(options.platform).map((text) => parsePlatform(text)),
    buildArgs: parsePairs('--build-arg', options.buildArg ?? [], (name) => env[name]),
    labels: parsePairs('--label', options.label ?? [], () => ''),
    namedContexts: parseNamedContexts(cwd, options.buildContext ?? []),
    noCache: options.cache === false,
    noCacheStages,
    pull: options.pull ?? false,
    ...(network === undefined ? {} : { network }),
    extraHosts: (options.addHost ?? []).map(parseHost),
    ...(options.shmSize === undefined ? {} : { shmSize: parseSize(options.shmSize) }),
    ulimits: (options.ulimit ?? []).map(parseUlimit),
    entitlements: new Set(parseLists(options.allow).map(parseEntitlement)),
    secrets: parseSecrets(context, options.secret ?? []),
    sshSockets: parseSsh(context, options.ssh ?? []),
    ...(epoch === undefined || epoch === '' ? {} : { sourceDateEpoch: parseEpoch(epoch) }),
    jobs: options.jobs === undefined ? Math.max(4, availableParallelism()) : parseJobs(options.jobs),
    strict: options.strict ?? false,
  };
}

function requireDirectory(dir: string, typed: string): void {
  let found: boolean;
  try {
    found = statSync(dir).isDirectory();
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    const near = typed.includes('/') ? undefined : suggest(typed, COMMANDS);
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot read build context ${JSON.stringify(typed)}: there is no such directory`,
      {
        hint:
          near === undefined
            ? 'the argument is the directory with the files that COPY and ADD read, often "."'
            : `did you mean "tsbuild ${near}"?`,
      },
    );
  }
  if (!found)
    throw new TsbuildError('TSB_USAGE', `Cannot use ${JSON.stringify(typed)} as build context: it is not a directory`);
}

async function findDockerfile(
  context: CliContext,
  contextDir: string,
  file: string | undefined,
): Promise<BuildRequest['dockerfile']> {
  if (file === undefined) return undefined;
  if (file === '-') return readStdin(context);
  const absolute = resolve(context.cwd, file);
  // docker takes the path from the working directory; one that is only in the context is meant just as often.
  const inContext = resolve(contextDir, file);
  const found = existsSync(absolute) || !existsSync(inContext) ? absolute : inContext;
  if (!existsSync(found))
    throw new TsbuildError('TSB_NOT_FOUND', `Cannot read Dockerfile ${JSON.stringify(file)}: it does not exist`, {
      hint: 'name it with -f PATH',
    });
  return { dir: dirname(found), name: basename(found) };
}

async function readStdin(context: CliContext): Promise<SourceFile> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of context.stdin) {
    const bytes = Buffer.from(chunk as Uint8Array);
    size += bytes.length;
    if (size > 16 * 1024 * 1024)
      throw new TsbuildError('TSB_USAGE', 'Cannot read the Dockerfile from standard input: it is larger than 16 MiB');
    chunks.push(bytes);
  }
  return { name: 'Dockerfile', text: Buffer.concat(chunks).toString('utf8') };
}

function parseNetwork(text: string | undefined): 'default' | 'none' | 'host' | undefined {
  if (text === undefined) return undefined;
  if (text === 'default' || text === 'none' || text === 'host') return text;
  throw new TsbuildError('TSB_USAGE', `Cannot use --network ${JSON.stringify(text)}: expected default, none or host`);
}

function parseNamedContexts(cwd: string, values: readonly string[]): Map<string, string> {
  const contexts = parsePairs('--build-context', values);
  for (const [name, value] of contexts) {
    const remote = /^[a-z][a-z0-9+.-]*:\/\/|^git@/.test(value);
    if (value.startsWith('oci-layout://'))
      contexts.set(name, `oci-layout://${resolve(cwd, value.slice('oci-layout://'.length))}`);
    else if (!remote) contexts.set(name, resolve(cwd, value));
  }
  return contexts;
}

function parseHost(text: string): { host: string; ip: string } {
  const match = /^([^:=\s]+)[:=](.+)$/.exec(text);
  const ip = match?.[2]?.replace(/^\[(.*)\]$/, '$1');
  if (!match?.[1] || !ip)
    throw new TsbuildError('TSB_USAGE', `Cannot use --add-host ${JSON.stringify(text)}: expected NAME=IP`);
  return { host: match[1], ip: ip === 'host-gateway' ? '127.0.0.1' : ip };
}

function parseUlimit(text: string): { name: string; soft: number; hard: number } {
  const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(text);
  if (!match)
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot use --ulimit ${JSON.stringify(text)}: expected NAME=SOFT[:HARD], for example nofile=1024:2048`,
    );
  const soft = Number(match[2]);
  return { name: match[1] ?? '', soft, hard: match[3] === undefined ? soft : Number(match[3]) };
}

function parseEntitlement(text: string): string {
  if (text === 'network.host' || text === 'security.insecure') return text;
  throw new TsbuildError('TSB_USAGE', `unknown entitlement ${text}`, {
    hint: 'known are network.host and security.insecure',
  });
}

function parseSecrets(context: CliContext, values: readonly string[]): Map<string, SecretSource> {
  const secrets = new Map<string, SecretSource>();
  for (const text of values) {
    const fields = new Map(
      text
        .split(',')
        .map((field) => [
          field.slice(0, Math.max(0, field.indexOf('='))).toLowerCase(),
          field.slice(field.indexOf('=') + 1),
        ]),
    );
    const id = fields.get('id');
    if (!id)
      throw new TsbuildError('TSB_USAGE', `Cannot use --secret ${JSON.stringify(text)}: the id is missing`, {
        hint: 'for example: --secret id=token,src=token.txt',
      });
    const file = fields.get('src') ?? fields.get('source');
    const name = fields.get('env') ?? (file === undefined ? id : undefined);
    const value = name === undefined ? undefined : context.env[name];
    if (file !== undefined && fields.get('type') !== 'env')
      secrets.set(id, { kind: 'file', path: resolve(context.cwd, file) });
    else if (value !== undefined) secrets.set(id, { kind: 'value', value });
    else if (fields.get('type') !== 'env' && fields.get('env') === undefined)
      secrets.set(id, { kind: 'file', path: resolve(context.cwd, id) });
    else
      throw new TsbuildError(
        'TSB_USAGE',
        `Cannot use --secret ${JSON.stringify(text)}: the environment has no variable ${JSON.stringify(name ?? id)}`,
      );
  }
  return secrets;
}

function parseSsh(context: CliContext, values: readonly string[]): Map<string, string> {
  const sockets = new Map<string, string>();
  for (const text of values) {
    const [id = 'default', path] = text.split('=', 2);
    const socket = path ?? context.env['SSH_AUTH_SOCK'];
    if (!socket)
      throw new TsbuildError('TSB_USAGE', `Cannot use --ssh ${id}: there is no SSH agent`, {
        hint: 'start one with: eval "$(ssh-agent)" && ssh-add',
      });
    const absolute = resolve(context.cwd, socket);
    if (!existsSync(absolute) || !statSync(absolute).isSocket()) {
      throw new TsbuildError(
        'TSB_USAGE',
        `Cannot use --ssh ${JSON.stringify(text)}: ${JSON.stringify(absolute)} is not the socket of an SSH agent`,
        {
          hint: 'add the key to an agent with ssh-add, and pass --ssh default',
        },
      );
    }
    sockets.set(id === '' ? 'default' : id, absolute);
  }
  return sockets;
}

/** @throws TsbuildError `TSB_USAGE` */
export function parseEpoch(text: string): number {
  if (!/^\d{1,11}$/.test(text))
    throw new TsbuildError('TSB_USAGE', `invalid SOURCE_DATE_EPOCH: ${text}`, {
      hint: 'it is a time in seconds since 1970, for example $(git log -1 --format=%ct)',
    });
  return Number(text);
}

function parseJobs(text: string): number {
  const jobs = Number(text);
  if (!Number.isInteger(jobs) || jobs < 1)
    throw new TsbuildError('TSB_USAGE', `Cannot use --jobs ${JSON.stringify(text)}: expected a number from 1`);
  return jobs;
}
