import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  type Dirent,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type ExitStatus,
  type Isolation,
  findHelper,
  type NamespacePlan,
  readPlanInputs,
  LoneRemover,
  planBare,
  requirePlan,
  type StepSpec,
} from '../../../src/sandbox/index.ts';
import { testedRung } from '../../support/rung.ts';
import { startWorker, type WorkerClient } from '../../../src/worker/index.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
export const seccompDir: string = join(root, 'native/seccomp');
export const workerEntry: string = join(root, 'src/worker/main.ts');

/** A file of a layer: its content, a link, a directory (`null`) or something that mkfifo makes. */
export type Entry = string | Uint8Array | null | { readonly link: string } | { readonly fifo: true };
export type Files = Readonly<Record<string, Entry>>;

const APPLETS = [
  'sh', 'ash', 'cat', 'ls', 'id', 'mount', 'ps', 'echo', 'touch', 'true', 'false', 'sleep', 'hostname', 'stat', 'dd', 'tty', 'stty', 'ip',
  'env', 'pwd', 'mkdir', 'kill', 'grep', 'od', 'wc', 'find', 'rm', 'rmdir', 'mv', 'ln', 'seq', 'chmod', 'chown', 'nc', 'head', 'printenv',
  'readlink', 'setsid', 'umask', 'test', 'df', 'unshare', 'su', 'yes', 'date', 'sync', 'tail', 'sort', 'base64', 'chroot', 'umount',
]; // oxfmt-ignore

/** What a step gave. */
export interface StepResult {
  readonly status?: ExitStatus;
  readonly out: string;
  readonly err: string;
  /** Text of the error where the step could not be set up. */
  readonly error?: string;
  readonly code?: string;
  /** Paths in the step's upper directory, sorted. */
  readonly upper: readonly string[];
  readonly upperDir: string;
}

/** A store-like directory, a base layer with busybox, and a worker. */
export class Kit implements AsyncDisposable {
  readonly dir: string;
  readonly plan: NamespacePlan;
  readonly helperPath: string = findHelper();
  readonly base: string;
  #worker: Promise<WorkerClient> | undefined;
  #count = 0;

  /** @param choice what the worker and steps run in, else the strongest or what the tests are run on */
  constructor(choice: Isolation = testedRung) {
    const { uid, gid, username } = userInfo();
    const inputs = readPlanInputs({ uid, gid, name: username });
    this.dir = mkdtempSync(join(tmpdir(), 'tsbuild-sandbox-'));
    this.plan =
      choice === 'chroot'
        ? planBare(inputs)
        : {
            ...requirePlan(inputs),
            ...(choice === 'copy' ? { copies: true } : {}),
            ...(choice === 'userns-noproc' ? { proc: 'around' } : {}),
          };
    this.base = this.layer(busyboxFiles());
  }

  worker(): Promise<WorkerClient> {
    return (this.#worker ??= startWorker({
      helperPath: this.helperPath,
      workerEntry,
      seccompDir,
      storeRoot: this.dir,
      plan: this.plan,
      treesDir: join(this.dir, 'trees'),
    }));
  }

  /** A new layer directory with these files, owned by the image's root. */
  layer(files: Files): string {
    const layer = join(this.dir, `layer${this.#count++}`);
    const own = (path: string): void => lchownSync(path, this.ownId(0), this.ownId(0));
    const mkdirs = (path: string): void => {
      if (path.length < layer.length || lstatSync(path, { throwIfNoEntry: false })) return;
      mkdirs(dirname(path));
      mkdirSync(path);
      own(path);
    };
    mkdirs(layer);
    for (const [name, entry] of Object.entries(files)) {
      const path = join(layer, name);
      mkdirs(entry === null ? path : dirname(path));
      if (entry === null) continue;
      if (typeof entry === 'string' || entry instanceof Uint8Array) writeFileSync(path, entry);
      else if ('link' in entry) symlinkSync(entry.link, path);
      else execFileSync('mkfifo', [path]);
      own(path);
    }
    for (const name of Object.keys(files)) if (name.startsWith('bin/busybox')) chmodSync(join(layer, name), 0o755);
    return layer;
  }

  /** The id on disk of an image's id; only root can own others than 0 from outside. */
  ownId(id: number): number {
    if (this.plan.how === 'none') return id;
    return this.plan.idShift > 0 ? this.plan.idShift + id : id === 0 ? userInfo().uid : userInfo().uid;
  }

  /** Runs a shell command, or a whole step, on the base layer. */
  async run(
    command: string | readonly string[],
    more: Partial<StepSpec> & { readonly signal?: AbortSignal } = {},
  ): Promise<StepResult> {
    const { signal, ...spec } = more;
    const worker = await this.worker();
    const lowers = spec.lowers ?? [this.base];
    const step = join(this.dir, `step${this.#count++}`);
    await worker.call('prepareUpper', { dir: step, lowers });
    const out: Uint8Array[] = [];
    const err: Uint8Array[] = [];
    const text = (chunks: Uint8Array[]): string => Buffer.concat(chunks).toString();
    const end = (more: { status?: ExitStatus; error?: string; code?: string }): StepResult => ({
      ...more,
      out: text(out),
      err: text(err),
      upper: listTree(join(step, 'fs')),
      upperDir: join(step, 'fs'),
    });
    try {
      const status = await worker.call(
        'runStep',
        {
          upper: join(step, 'fs'),
          work: join(step, 'work'),
          args: typeof command === 'string' ? ['/bin/sh', '-c', command] : command,
          env: ['PATH=/bin'],
          cwd: '/',
          user: '',
          hostname: 'buildkitsandbox',
          network: 'host',
          security: 'sandbox',
          ...spec,
          lowers,
        },
        {
          onOutput: (stream, data) => void (stream === 1 ? out : err).push(data),
          ...(signal === undefined ? {} : { signal }),
        },
      );
      return end({ status });
    } catch (error) {
      const { message, code } = error as Error & { code: string };
      return end({ error: message, code });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#worker)?.[Symbol.asyncDispose]();
    await new LoneRemover({ helperPath: this.helperPath, plan: this.plan }).remove([this.dir]);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** What every image has for the mounts of a container. */
const MOUNTED: Files = { dev: null, proc: null, sys: null };

export function busyboxFiles(): Files {
  const links = Object.fromEntries(APPLETS.map((name) => [`bin/${name}`, { link: 'busybox' }]));
  return {
    'bin/busybox': readBusybox(),
    ...links,
    'etc/passwd':
      'root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nbob:x:1001:50::/nowhere:/bin/sh\n',
    'etc/group': 'root:x:0:\nstaff:x:50:alice,bob\nalice:x:1000:\nwheel:x:10:root,alice\n',
    tmp: null,
    root: null,
    ...MOUNTED,
  };
}

let busybox: Uint8Array | undefined;
function readBusybox(): Uint8Array {
  return (busybox ??= execFileSync('cat', ['/bin/busybox'], { maxBuffer: 1 << 25 }));
}

/** Relative paths below a directory, as far as it can be read, sorted. Links are not followed. */
export function listTree(dir: string, prefix = ''): readonly string[] {
  let entries: Dirent[];
  try {
    entries = readdirSync(dir, { withFileTypes: true });
  } catch {
    return [];
  }
  return entries
    .flatMap((entry) => [
      prefix + entry.name,
      ...(entry.isDirectory() ? listTree(join(dir, entry.name), `${prefix}${entry.name}/`) : []),
    ])
    .toSorted();
}

/** A directory of the machine that no step may touch, and a check that none did. */
export class Canary {
  readonly dir: string;
  readonly #before: string;

  constructor(parent: string) {
    this.dir = join(parent, 'victim');
    mkdirSync(this.dir);
    writeFileSync(join(this.dir, 'hello'), 'canary-bytes');
    writeFileSync(join(this.dir, 'empty'), '');
    mkdirSync(join(this.dir, 'subdir'));
    for (const name of ['hello', 'empty', 'subdir', '.']) utimesSync(join(this.dir, name), 1000, 1000);
    this.#before = this.#look();
  }

  get untouched(): boolean {
    return this.#look() === this.#before;
  }

  #look(): string {
    return JSON.stringify(
      ['.', ...listTree(this.dir)].map((name) => {
        const { mode, uid, gid, mtimeMs, nlink, size } = lstatSync(join(this.dir, name));
        return [name, mode, uid, gid, mtimeMs, nlink, size];
      }),
    );
  }
}
