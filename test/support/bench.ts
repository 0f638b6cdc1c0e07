import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { baseImageTar } from './base-image.ts';
import type { Identity } from './identity.ts';
import { programPath } from './program.ts';
import { removeTree } from './remove-tree.ts';
import { rungEnvironment, testedRung } from './rung.ts';

/** What test files share (`shared-directory.ts`). */
const SHARED = process.env['TSBUILD_TEST_SHARED'];

/** What a command did. */
export interface Outcome {
  /** Exit code; 128 plus the number for a signal, as shells have it. */
  readonly code: number;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly out: string;
  readonly err: string;
  readonly ms: number;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly stdin?: string | Uint8Array;
  /** Another store than the bench's own. */
  readonly store?: string;
  readonly timeoutMs?: number;
  /** A process group of its own, so that signals can go to all of it. */
  readonly detached?: boolean;
  readonly stdio?: StdioOptions;
  /** As whoever runs the tests. */
  readonly asSelf?: boolean;
}

/** A started command. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Outcome>;
  /** What it has printed so far. */
  readonly text: () => string;
  /** Waits until it has printed this. */
  readonly prints: (pattern: RegExp) => Promise<void>;
}

/** A file of a context: text, bytes, a directory (null), a link, or text with a mode. */
export type ContextFile =
  | string
  | Uint8Array
  | null
  | { readonly link: string }
  | { readonly text: string | Uint8Array; readonly mode: number };

/**
 * A home directory with a store in it, where commands run as one identity. Everything that is started carries a mark in its
 * environment by which it is found again.
 */
export class Bench implements AsyncDisposable {
  readonly who: Identity;
  readonly dir: string;
  readonly store: string;
  readonly mark: string = randomBytes(8).toString('hex');
  readonly #running = new Set<ChildProcess>();
  #contexts = 0;
  #stores = 0;

  constructor(who: Identity) {
    this.who = who;
    this.dir = mkdtempSync(join(tmpdir(), 'tsbuild-e2e-'));
    this.store = join(this.dir, 'store');
    this.#own(this.dir);
  }

  /** Starts any program as the bench's identity. */
  start(command: readonly string[], options: RunOptions = {}): Running {
    const begun = performance.now();
    const [program = '', ...args] = [...(options.asSelf ? [] : this.who.prefix), ...command];
    const child = spawn(program, args, {
      cwd: options.cwd ?? this.dir,
      env: this.environment(options),
      detached: options.detached ?? false,
      stdio: options.stdio ?? [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    this.#running.add(child);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    const waiting = new Set<() => void>();
    const keep = (chunks: Buffer[]) => (data: Buffer) => {
      chunks.push(data);
      for (const look of waiting) look();
    };
    child.stdout?.on('data', keep(out));
    child.stderr?.on('data', keep(err));
    child.stdin?.on('error', () => undefined);
    if (options.stdin !== undefined) child.stdin?.end(options.stdin);
    const text = (): string => Buffer.concat([...out, ...err]).toString();
    const limit = options.timeoutMs ?? 110_000;
    const watchdog = setTimeout(() => child.kill('SIGKILL'), limit);
    // Its exit may be seen before the last of its output is.
    let closed = false;
    const ended = new Promise<Outcome>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        closed = true;
        clearTimeout(watchdog);
        this.#running.delete(child);
        for (const look of waiting) look();
        const stdout = Buffer.concat(out);
        resolve({
          code: code ?? 128 + (signal === 'SIGKILL' ? 9 : signal === 'SIGINT' ? 2 : 15),
          signal,
          stdout,
          out: stdout.toString(),
          err: Buffer.concat(err).toString(),
          ms: performance.now() - begun,
        });
      });
    });
    const prints = (pattern: RegExp): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (pattern.test(text())) resolve();
          else if (closed)
            reject(
              new Error(
                `It ended (${child.signalCode ?? child.exitCode}; killed after ${limit} ms) without printing ${String(pattern)}:\n${text()}`,
              ),
            );
          else return;
          waiting.delete(look);
        };
        waiting.add(look);
        look();
      });
    return { child, ended, text, prints };
  }

  environment(options: RunOptions = {}): NodeJS.ProcessEnv {
    const { PATH } = process.env;
    return {
      PATH: `${PATH ?? '/usr/bin:/bin'}:/usr/sbin:/sbin`,
      HOME: this.dir,
      TSBUILD_ROOT: options.store ?? this.store,
      TSBUILD_TEST_MARK: this.mark,
      ...rungEnvironment,
      ...options.env,
    };
  }

  /** The command line of `tsbuild` with these arguments. */
  command(args: readonly string[]): readonly string[] {
    return [programPath(), ...args];
  }

  /** Starts `tsbuild` with these arguments. */
  tsbuildStart(args: readonly string[], options: RunOptions = {}): Running {
    return this.start(this.command(args), options);
  }

  /** Runs `tsbuild` and waits for its end, whatever that is. */
  tsbuild(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    return this.tsbuildStart(args, options).ended;
  }

  /** Runs `tsbuild`, which must succeed. */
  async ok(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const outcome = await this.tsbuild(args, options);
    if (outcome.code !== 0)
      throw new Error(`tsbuild ${args.join(' ')} ended with ${outcome.code}:\n${outcome.err}${outcome.out}`);
    return outcome;
  }

  /**
   * Runs another program, which must succeed, and gives its standard output. Its runtime directory is the bench's: what is there for all, root's
   * podman and buildah make so that others cannot enter it, and their skopeo gives up.
   */
  async tool(command: readonly string[], options: RunOptions = {}): Promise<string> {
    const env = { XDG_RUNTIME_DIR: this.dir, ...options.env };
    const outcome = await this.start(command, { ...options, env }).ended;
    if (outcome.code !== 0)
      throw new Error(`${command.join(' ')} ended with ${outcome.code}:\n${outcome.err}${outcome.out}`);
    return outcome.out;
  }

  /** Imports the base image. */
  async importBase(name = 'base:1', options: RunOptions = {}): Promise<void> {
    const env = { SOURCE_DATE_EPOCH: '1600000000', ...options.env };
    await this.ok(['import', '-', '-t', name], { ...options, env, stdin: baseImageTar() });
  }

  /**
   * Makes a store with nothing but `base:1`, where none is and nobody makes one: a copy of one that was made before takes a twentieth of
   * the time.
   */
  async makeStore(store: string = this.store): Promise<void> {
    // What a rung has in its layers' directories is its own.
    if (SHARED === undefined || testedRung !== 'userns') return this.importBase('base:1', { store });
    const made = join(SHARED, `base-${this.who.uid}`);
    if (!existsSync(made)) await this.#makeBase(made);
    await this.tool(['cp', '-a', '-T', made, store]);
    return undefined;
  }

  /** Makes a store with the base image, which is there as a whole or not at all. */
  async #makeBase(path: string): Promise<void> {
    const making = mkdtempSync(join(dirname(path), '.new-'));
    this.#own(making);
    const store = join(making, 'store');
    await this.importBase('base:1', { store });
    try {
      renameSync(store, path);
    } catch {
      // Another test file was first.
    }
    await removeTree(making);
  }

  /** A new store with nothing but the base image: that of another machine. */
  async otherStore(): Promise<string> {
    const store = this.path(`store-${this.#stores++}`);
    await this.makeStore(store);
    return store;
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  /** Writes files below the bench's directory, owned by its identity. */
  write(prefix: string, files: Readonly<Record<string, ContextFile>>): string {
    const top = this.path(prefix);
    this.#makeDirectory(top);
    for (const [name, file] of Object.entries(files)) {
      const path = join(top, name);
      this.#makeDirectory(file === null ? path : dirname(path));
      if (file === null) continue;
      if (typeof file === 'string' || file instanceof Uint8Array) writeFileSync(path, file);
      else if ('link' in file) symlinkSync(file.link, path);
      else {
        writeFileSync(path, file.text);
        chmodSync(path, file.mode);
      }
      if (this.who.prefix.length > 0) lchownSync(path, this.who.uid, this.who.gid);
    }
    return top;
  }

  /** A new context directory with this Dockerfile and these files. */
  context(dockerfile: string, files: Readonly<Record<string, ContextFile>> = {}): string {
    return this.write(`context${this.#contexts++}`, { Dockerfile: dockerfile, ...files });
  }

  /** Processes that carry the mark, in their environment or as a word of their command line, or were started of this file's program. */
  processes(): readonly { readonly pid: number; readonly command: string }[] {
    return this.#processesWith([this.mark, this.dir, dirname(dirname(programPath()))]);
  }

  #processesWith(words: readonly string[]): readonly { readonly pid: number; readonly command: string }[] {
    const found: { pid: number; command: string }[] = [];
    for (const pid of readdirSync('/proc')
      .map(Number)
      .filter((number) => number > 0)) {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
        if (
          words.some((text) => command.includes(text)) ||
          readFileSync(`/proc/${pid}/environ`, 'latin1').includes(this.mark)
        )
          found.push({ pid, command });
      } catch {
        // It ended meanwhile, or is another user's.
      }
    }
    return found;
  }

  /** Processes that are still there when half a minute has passed; most are gone at once. */
  async leftovers(): Promise<readonly string[]> {
    for (let tries = 0; tries < 300 && this.processes().length > 0; tries++) await sleep(tries < 40 ? 25 : 100);
    return this.processes().map(({ pid, command }) => `${pid} ${command}`);
  }

  /** Mounts of the machine within the bench's directory. */
  mounts(): readonly string[] {
    return readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(this.dir));
  }

  /** What `store check` finds wrong, harmless things included. */
  async damage(store?: string): Promise<readonly string[]> {
    const { code, out, err } = await this.tsbuild(
      ['store', 'check', '--format=json'],
      store === undefined ? {} : { store },
    );
    const report = JSON.parse(out || '{}') as { problems?: { harmless: boolean; message: string }[] };
    const problems = (report.problems ?? []).filter((problem) => !problem.harmless).map(({ message }) => message);
    return code === 0 && report.problems !== undefined ? problems : [`exit ${code}`, ...problems, err];
  }

  #makeDirectory(path: string): void {
    const first = mkdirSync(path, { recursive: true });
    if (first === undefined || this.who.prefix.length === 0) return;
    for (let at = path; at.length >= first.length; at = dirname(at)) this.#own(at);
  }

  #own(path: string): void {
    if (this.who.prefix.length > 0) chownSync(path, this.who.uid, this.who.gid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#running) child.kill('SIGKILL');
    // Also what a shell of a test that failed has left, and what goes on by itself. Whoever still writes would make removing fail.
    for (let tries = 0; tries < 400; tries++) {
      // Another bench of the file may go on.
      const left = this.#processesWith([this.mark, this.dir]);
      if (left.length === 0) break;
      for (const { pid } of left) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It ended meanwhile.
        }
      }
      await sleep(25);
    }
    await removeTree(this.dir);
  }
}
