import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePort } from './free-port.ts';
import { until } from './until.ts';
import { WebServer } from './web-server.ts';

const program = ['/usr/bin/git', '/usr/local/bin/git'].find((path) => existsSync(path));

/** Whether this machine can serve repositories. */
export const hasGit: boolean = program !== undefined;

/** A file of a commit: text, a link, an executable, or null for none. */
export type CommitFile = string | { readonly link: string } | { readonly executable: string } | null;

/** A directory with bare or plain repositories in it. */
export class Repositories implements Disposable {
  readonly root: string = mkdtempSync(join(tmpdir(), 'tsbuild-git-'));

  constructor() {
    chmodSync(this.root, 0o755);
  }

  /** Runs git in a repository and gives its output. */
  git(name: string, ...args: readonly string[]): string {
    const env = {
      PATH: '/usr/bin:/bin',
      HOME: this.root,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_AUTHOR_NAME: 'n',
      GIT_AUTHOR_EMAIL: 'e@e',
      GIT_COMMITTER_NAME: 'n',
      GIT_COMMITTER_EMAIL: 'e@e',
      GIT_AUTHOR_DATE: '1600000000 +0000',
      GIT_COMMITTER_DATE: '1600000000 +0000',
      GIT_ALLOW_PROTOCOL: 'file',
    };
    const done = spawnSync(program ?? 'git', ['-C', join(this.root, name), ...args], { env, encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`git ${args.join(' ')}: ${done.stderr}`);
    return done.stdout.trim();
  }

  /** Makes a repository with one commit on `main`. */
  create(name: string, files: Readonly<Record<string, CommitFile>>): string {
    mkdirSync(join(this.root, name), { recursive: true });
    this.git(name, 'init', '-q', '-b', 'main', '.');
    this.git(name, 'config', 'uploadpack.allowAnySHA1InWant', 'true');
    return this.commit(name, files);
  }

  /** Commits files and gives the hash. */
  commit(name: string, files: Readonly<Record<string, CommitFile>>): string {
    for (const [file, content] of Object.entries(files)) {
      const path = join(this.root, name, file);
      if (lstatSync(path, { throwIfNoEntry: false })) rmSync(path, { recursive: true });
      if (content === null) continue;
      mkdirSync(dirname(path), { recursive: true });
      if (typeof content === 'string') writeFileSync(path, content);
      else if ('link' in content) symlinkSync(content.link, path);
      else {
        writeFileSync(path, content.executable);
        chmodSync(path, 0o755);
      }
    }
    this.git(name, 'add', '-A', '.');
    this.git(name, 'commit', '-q', '--allow-empty', '-m', 'message');
    return this.git(name, 'rev-parse', 'HEAD');
  }

  /** Serves them by git's smart HTTP protocol; `check` may answer instead. */
  async serve(check?: (request: IncomingMessage, response: ServerResponse) => boolean): Promise<WebServer> {
    return WebServer.start((request, response) => {
      if (check?.(request, response) !== true) this.#answer(request, response);
    });
  }

  /** Serves them by the git protocol. */
  async daemon(): Promise<{ readonly url: string } & Disposable> {
    const port = await freePort();
    const args = [
      'daemon',
      '--export-all',
      `--base-path=${this.root}`,
      '--listen=127.0.0.1',
      `--port=${port}`,
      '--reuseaddr',
      this.root,
    ];
    const child = spawn(program ?? 'git', args, { stdio: 'ignore', detached: true });
    const end = (): void => {
      try {
        process.kill(-(child.pid ?? 0));
      } catch {
        // It has ended by itself.
      }
    };
    try {
      await until('git daemon answers', () => {
        if (child.exitCode !== null || child.signalCode !== null) throw new Error('git daemon did not start');
        const { stderr } = spawnSync(program ?? 'git', ['ls-remote', `git://127.0.0.1:${port}/none`]);
        return stderr.includes('not exported');
      });
    } catch (error) {
      end();
      throw error;
    }
    return { url: `git://127.0.0.1:${port}`, [Symbol.dispose]: end };
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const [path = '', query = ''] = (request.url ?? '').split('?');
    const header = (name: string): string => String(request.headers[name] ?? '');
    const child = spawn(program ?? 'git', ['http-backend'], {
      env: {
        PATH: '/usr/bin:/bin',
        HOME: this.root,
        GIT_PROJECT_ROOT: this.root,
        GIT_HTTP_EXPORT_ALL: '1',
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'safe.directory',
        GIT_CONFIG_VALUE_0: '*',
        REQUEST_METHOD: request.method ?? '',
        PATH_INFO: path,
        QUERY_STRING: query,
        CONTENT_TYPE: header('content-type'),
        HTTP_CONTENT_ENCODING: header('content-encoding'),
        GIT_PROTOCOL: header('git-protocol'),
      },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    request.pipe(child.stdin);
    child.stdin.on('error', () => undefined);
    let head = Buffer.alloc(0);
    let begun = false;
    child.stdout.on('data', (data: Buffer) => {
      if (begun) return void response.write(data);
      head = Buffer.concat([head, data]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      begun = true;
      for (const line of head.toString('latin1', 0, end).split('\r\n')) {
        const [, name = '', value = ''] = /^([^:]+): (.*)$/.exec(line) ?? [];
        if (name === 'Status') response.statusCode = Number.parseInt(value, 10);
        else if (name !== '') response.setHeader(name, value);
      }
      response.write(head.subarray(end + 4));
    });
    child.stdout.on('end', () => response.end());
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
