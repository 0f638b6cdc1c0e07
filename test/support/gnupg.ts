import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

interface KeyOptions {
  readonly usage?: string;
  readonly expires?: string;
  readonly at?: string;
}

/** GnuPG with keys of its own, and without those of the user. Its agent ends with it. */
export class Gnupg implements Disposable {
  /** Short: the agent's socket is in it. */
  readonly home: string = mkdtempSync(join(tmpdir(), 'gpg-'));

  run(args: readonly string[], input: string | Uint8Array = ''): string {
    const fixed = ['--homedir', this.home, '--batch', '--no-tty', '--yes', '--quiet'];
    const secret = ['--pinentry-mode', 'loopback', '--passphrase', ''];
    const { status, stdout, stderr } = spawnSync('gpg', [...fixed, ...secret, ...args], { input, encoding: 'latin1' });
    if (status !== 0) throw new Error(`gpg ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  /** Makes a key and gives its fingerprint. @param at when, as gpg has times: `20200101T000000` */
  make(name: string, algorithm: string, { usage = 'sign,cert', expires = 'never', at = '' }: KeyOptions = {}): string {
    this.run([...timeOf(at), '--quick-gen-key', `${name} <${name}@example.com>`, algorithm, usage, expires]);
    return this.fingerprint(name);
  }

  fingerprint(name: string): string {
    return /^fpr:+([0-9A-F]+):/m.exec(this.run(['--with-colons', '--list-keys', `${name}@example.com`]))?.[1] ?? '';
  }

  addSubkey(
    fingerprint: string,
    algorithm: string,
    { expires = 'never', at = '' }: Omit<KeyOptions, 'usage'> = {},
  ): void {
    this.run([...timeOf(at), '--quick-add-key', fingerprint, algorithm, 'sign', expires]);
  }

  export(...names: readonly string[]): string {
    return this.run(['--armor', '--export', ...names]);
  }

  sign(name: string, data: string | Uint8Array, options: readonly string[] = [], at = ''): string {
    return this.run([...timeOf(at), '--local-user', name, ...options, '--armor', '--detach-sign'], data);
  }

  /** What gpg keeps for the day when a key has to be revoked. */
  revoke(fingerprint: string): void {
    const kept = readFileSync(join(this.home, 'openpgp-revocs.d', `${fingerprint}.rev`), 'latin1');
    this.run(['--import'], kept.replace(/^:-----/m, '-----'));
  }

  /** A program that is this GnuPG, for git. */
  program(): string {
    const path = join(this.home, 'run');
    const fixed = `--homedir '${this.home}' --batch --pinentry-mode loopback --passphrase ''`;
    writeFileSync(path, `#!/bin/sh\nexec gpg ${fixed} "$@"\n`, { mode: 0o755 });
    return path;
  }

  [Symbol.dispose](): void {
    spawnSync('gpgconf', ['--homedir', this.home, '--kill', 'all']);
    rmSync(this.home, { recursive: true, force: true });
  }
}

function timeOf(at: string): readonly string[] {
  return at === '' ? [] : ['--faked-system-time', `${at}!`];
}
