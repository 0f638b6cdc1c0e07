import { spawn } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { throwIfCanceled } from '../registry/index.ts';
import { findProgram } from '../sandbox/index.ts';
import { messageOf, redactUrls, sanitizeLine, TsbuildError } from '../util/index.ts';
import type { Task } from '../events/index.ts';
import type { GitLimits } from './git-types.ts';

/** Bytes of output that are kept of git's messages. */
const STDERR_LIMIT = 64 * 1024;
const STDOUT_LIMIT = 256 * 1024 * 1024;
/** A server that talks for ever would never count as silent. */
const MESSAGES_LIMIT = 64 * 1024 * 1024;
const WATCH_MS = 1000;

/** How many times longer a transfer may take that tells of its progress but brings no bytes. */
const MESSAGES_ONLY = 10;

/** Settings that every git command gets: nothing of a repository or of the machine makes it run programs. */
const SETTINGS: readonly string[] = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.protectHFS=true',
  'core.protectNTFS=true',
  'core.autocrlf=false',
  'credential.helper=',
  'protocol.file.allow=user',
  'protocol.ext.allow=never',
  'submodule.recurse=false',
  'fetch.recurseSubmodules=false',
  'gc.auto=0',
  'maintenance.auto=false',
  'init.defaultBranch=master',
  'advice.detachedHead=false',
  // Below what a server sends that only tells its progress while it counts objects: git gives up whom curl does not hear at all.
  'http.lowSpeedLimit=10',
  'http.lowSpeedTime=30',
];

/** All that git is told by its environment. It inherits nothing. */
export interface GitEnvironment {
  readonly proxies: Readonly<Record<string, string>>;
  readonly sshCommand: string;
  readonly sshSocket: string | undefined;
  /** Settings with secrets, which must not be seen among the arguments of a process. */
  readonly secretConfig: readonly (readonly [string, string])[];
  /** What it may fetch by, separated by colons. Default: http, https, ssh and git. */
  readonly protocols?: string;
}

/** git on one repository. */
export interface GitRun {
  readonly limits: GitLimits;
  readonly environment: GitEnvironment;
  /** Working directory; `.git` in it is the repository. */
  readonly dir: string;
  /** Gets what git says, as it says it. */
  readonly onMessage?: (data: Uint8Array) => void;
}

/** A git command that failed. */
export class GitFailure extends Error {
  override readonly name = 'GitFailure';
  /** What git said, at most its end. */
  readonly said: string;

  constructor(said: string, how: string) {
    super(lastWords(said) || how);
    this.said = said;
  }
}

/**
 * Runs a git command and gives its output.
 * The environment is made from nothing (GIT-06): no configuration of the machine or the user, no prompts, no helpers, only the
 * transports http, https, ssh and git. It has a session of its own, so that all of its children end with it.
 * @throws GitFailure; TsbuildError `TSB_NOT_FOUND` without git, `TSB_CANCELED`, `TSB_NETWORK` when it stalls or gives too much
 */
export async function runGit(task: Task, run: GitRun, args: readonly string[]): Promise<Buffer> {
  throwIfCanceled(task);
  const program = findProgram('git');
  if (program === undefined) {
    throw new TsbuildError('TSB_NOT_FOUND', 'Cannot load a git repository: this machine has no git', {
      hint: 'install it, for example with: apt-get install git',
    });
  }
  const settings = SETTINGS.flatMap((setting) => ['-c', setting]);
  const child = withUmask(0o022, () =>
    spawn(program, [...settings, '--git-dir', `${run.dir}/.git`, '--work-tree', run.dir, ...args], {
      cwd: run.dir,
      env: environmentOf(run.environment),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    }),
  );
  let stop: TsbuildError | undefined;
  const kill = (why?: TsbuildError): void => {
    stop ??= why;
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended already.
    }
  };
  const onAbort = (): void => kill();
  task.signal.addEventListener('abort', onAbort, { once: true });
  const isTransfer = ['ls-remote', 'fetch', 'submodule'].includes(args[0] ?? '');
  const { stallMs, workMs } = run.limits;
  const watch = watchTransfer(run, isTransfer ? stallMs : workMs, kill);
  const output: Buffer[] = [];
  let size = 0;
  let [said, told] = ['', 0];
  child.stdout.on('data', (data: Buffer) => {
    watch.alive();
    size += data.length;
    if (size > STDOUT_LIMIT)
      kill(new TsbuildError('TSB_NETWORK', 'Cannot load a git repository: it has too many names'));
    else output.push(data);
  });
  child.stderr.on('data', (data: Buffer) => {
    watch.alive();
    told += data.length;
    if (told > MESSAGES_LIMIT)
      kill(new TsbuildError('TSB_NETWORK', 'Cannot load a git repository: its server sends messages without end'));
    else if (said.length < STDERR_LIMIT) run.onMessage?.(data);
    said = (said + data.toString('latin1')).slice(-STDERR_LIMIT);
  });
  try {
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (...end) => resolve(end));
    });
    throwIfCanceled(task);
    if (stop) throw stop;
    if (code === 0) return Buffer.concat(output, size);
    throw new GitFailure(
      Buffer.from(said, 'latin1').toString('utf8'),
      signal === null ? `exit code ${code}` : `signal ${signal}`,
    );
  } catch (error) {
    kill();
    if (error instanceof GitFailure || error instanceof TsbuildError) throw error;
    throw new TsbuildError('TSB_INTERNAL', `Cannot run ${JSON.stringify(program)}: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    watch.stop();
    task.signal.removeEventListener('abort', onAbort);
  }
}

/** Nothing of the user's configuration: no hooks, no helpers, no rewritten URLs. */
function environmentOf({
  proxies,
  sshCommand,
  sshSocket,
  secretConfig,
  protocols,
}: GitEnvironment): Record<string, string> {
  const secrets = secretConfig.flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${index}`, key],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ]);
  return {
    ...proxies,
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    LC_ALL: 'C',
    HOME: '/dev/null',
    XDG_CONFIG_HOME: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_SYSTEM: '/dev/null',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ALLOW_PROTOCOL: protocols ?? 'http:https:ssh:git',
    GIT_SSH_COMMAND: sshCommand,
    GIT_SSH_VARIANT: 'ssh',
    ...(sshSocket === undefined ? {} : { SSH_AUTH_SOCK: sshSocket }),
    ...(secrets.length === 0
      ? {}
      : { GIT_CONFIG_COUNT: String(secretConfig.length), ...(Object.fromEntries(secrets) as Record<string, string>) }),
  };
}

/** git makes files with the modes that its umask leaves: 0644 and 0755, whatever the user's own is. */
function withUmask<T>(mask: number, work: () => T): T {
  const before = process.umask(mask);
  try {
    return work();
  } finally {
    process.umask(before);
  }
}

/** Ends a transfer that shows no sign of life, or that brings more than it may. @param patience ms */
function watchTransfer(
  { limits, dir }: GitRun,
  patience: number,
  end: (why: TsbuildError) => void,
): { readonly alive: () => void; readonly stop: () => void } {
  let quiet = 0;
  /** Since bytes came last. Whoever only talks is not believed for ever. */
  let idle = 0;
  let before = 0;
  const timer = setInterval(() => {
    const bytes = packBytes(`${dir}/.git`);
    quiet = bytes === before ? quiet + WATCH_MS : 0;
    idle = bytes === before ? idle + WATCH_MS : 0;
    before = bytes;
    if (bytes > limits.maxBytes)
      end(new TsbuildError('TSB_NETWORK', `Cannot load a git repository: it has more than ${limits.maxBytes} bytes`));
    else if (quiet >= patience || idle >= patience * MESSAGES_ONLY)
      end(
        new TsbuildError(
          'TSB_NETWORK',
          `Cannot load a git repository: nothing came for ${Math.round((quiet >= patience ? patience : idle) / 1000)} seconds`,
        ),
      );
  }, WATCH_MS);
  return {
    alive: () => {
      quiet = 0;
    },
    stop: () => clearInterval(timer),
  };
}

/** Bytes of the packs of a git directory and of those of its submodules, whose names may have slashes. */
function packBytes(gitDir: string): number {
  const pack = `${gitDir}/objects/pack`;
  let sum = namesIn(pack).reduce(
    (bytes, name) => bytes + (statSync(`${pack}/${name}`, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
  const places = [`${gitDir}/modules`];
  for (let place = places.pop(); place !== undefined; place = places.pop()) {
    for (const name of namesIn(place)) {
      const inner = `${place}/${name}`;
      if (existsSync(`${inner}/objects`)) sum += packBytes(inner);
      else places.push(inner);
    }
  }
  return sum;
}

function namesIn(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

/** The lines of git's last message that say why, made safe to show (GIT-08). */
function lastWords(said: string): string {
  const lines = said.split(/[\n\r]+/).filter((line) => line.trim() !== '');
  const reasons = lines.filter((line) =>
    /^(?:fatal|error|remote|ssh|ERROR|Permission denied|Host key)|^\S+: Permission denied/.test(line),
  );
  return sanitizeLine(redactUrls((reasons.length > 0 ? reasons : lines).slice(-4).join('; ')), 600);
}
