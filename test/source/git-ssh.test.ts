import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GitSource } from '../../src/source/index.ts';
import { freePort } from '../support/free-port.ts';
import { Repositories } from '../support/git-server.ts';
import { testTask } from '../support/task.ts';
import { until } from '../support/until.ts';

/** An SSH server of this user on this machine, who gets in with one key that an agent has. */
class SshServer implements AsyncDisposable {
  readonly dir: string = mkdtempSync(join(tmpdir(), 'tsbuild-sshd-'));
  port = 0;
  readonly #processes: ReturnType<typeof spawn>[] = [];

  async start(): Promise<this> {
    this.port = await freePort();
    for (const name of ['host', 'other', 'user'])
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(this.dir, name)]);
    copyFileSync(join(this.dir, 'user.pub'), join(this.dir, 'authorized'));
    const lines = [
      `Port ${this.port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${this.dir}/host`,
      `AuthorizedKeysFile ${this.dir}/authorized`,
    ];
    writeFileSync(
      join(this.dir, 'config'),
      [...lines, `PidFile ${this.dir}/pid`, 'StrictModes no', 'UsePAM no', 'PermitRootLogin yes', ''].join('\n'),
    );
    if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true });
    this.#processes.push(spawn('/usr/sbin/sshd', ['-D', '-f', join(this.dir, 'config')], { stdio: 'ignore' }));
    this.#processes.push(spawn('ssh-agent', ['-D', '-a', this.agent], { stdio: 'ignore' }));
    await until('sshd and ssh-agent answer', async () => existsSync(this.agent) && (await this.#answers()));
    chmodSync(join(this.dir, 'user'), 0o600);
    spawnSync('ssh-add', [join(this.dir, 'user')], { env: { ...process.env, SSH_AUTH_SOCK: this.agent } });
    return this;
  }

  get agent(): string {
    return join(this.dir, 'agent');
  }

  /** A line of `known_hosts` with the key of that name. */
  knownHosts(key: string): string {
    const [type = '', value = ''] = readFileSync(join(this.dir, `${key}.pub`), 'utf8').split(' ');
    return `[127.0.0.1]:${this.port} ${type} ${value}\n`;
  }

  #answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.port, '127.0.0.1');
      socket.on('error', () => resolve(false));
      socket.on('connect', () => {
        socket.destroy();
        resolve(true);
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#processes) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      if (child.kill()) await ended;
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}

describe('git by SSH (GIT-10)', () => {
  let server: SshServer;
  let repos: Repositories;
  let dir: string;
  beforeAll(async () => {
    repos = new Repositories();
    repos.create('plain', { file: 'by ssh' });
    server = await new SshServer().start();
    dir = mkdtempSync(join(tmpdir(), 'tsbuild-git-ssh-'));
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    repos[Symbol.dispose]();
    rmSync(dir, { recursive: true, force: true });
  });

  async function fetch(knownHosts: string | undefined, home = '/nonexistent', withAgent = true): Promise<string> {
    const source = new GitSource({
      temporary: () => mkdtempSync(join(dir, 'x')),
      home,
      now: () => 0,
      limits: { stallMs: 20_000 },
    });
    const url = `ssh://${userInfo().username}@127.0.0.1:${server.port}${repos.root}/plain`;
    const access = {
      ...(withAgent ? { sshSocket: server.agent } : {}),
      ...(knownHosts === undefined ? {} : { knownHosts }),
    };
    const request = {
      url,
      ref: 'main',
      checksum: '',
      fetchByCommit: false,
      subdir: '',
      keepGitDir: false,
      submodules: true,
      access,
    };
    const commit = await source.resolve(testTask(), request);
    const tree = await source.checkout(testTask(), request, commit);
    return readFileSync(join(tree.dir, 'file'), 'utf8');
  }

  test('a host whose key is known is talked to, with the keys of the agent alone', async () => {
    expect(await fetch(server.knownHosts('host'))).toBe('by ssh');
    const home = join(dir, 'home');
    mkdirSync(join(home, '.ssh'), { recursive: true });
    writeFileSync(join(home, '.ssh/known_hosts'), server.knownHosts('host'));
    // What the user's own configuration says, and own keys, play no part.
    copyFileSync(join(server.dir, 'user'), join(home, '.ssh/id_ed25519'));
    writeFileSync(join(home, '.ssh/config'), 'Host *\n\tProxyCommand false\n');
    expect(await fetch(undefined, home)).toBe('by ssh');
    await expect(fetch(undefined, home, false)).rejects.toMatchObject({
      code: 'TSB_NETWORK',
      message: expect.stringContaining('Permission denied'),
    });
  });

  test('a host that nobody knows, or whose key is another one now, is not', async () => {
    for (const known of [
      undefined,
      '',
      server.knownHosts('other'),
      `@revoked ${server.knownHosts('host')}${server.knownHosts('host')}`,
    ]) {
      await expect(fetch(known)).rejects.toMatchObject({
        code: 'TSB_NETWORK',
        message: expect.stringMatching(/Host key verification failed|host key is known|REVOKED/i),
      });
    }
  });
});
