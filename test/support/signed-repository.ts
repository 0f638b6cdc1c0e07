import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GitObject } from '../../src/signatures/git-object.ts';
import type { Repositories } from './git-server.ts';

/** Makes an SSH key in the directory of the repositories and gives its public part. */
export function sshKey(repositories: Repositories, name: string): string {
  const path = join(repositories.root, name);
  const { status, stderr } = spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`ssh-keygen: ${stderr}`);
  return readFileSync(`${path}.pub`, 'utf8');
}

/** Runs git with a key of `sshKey` for what it signs. */
export function signing(
  repositories: Repositories,
  key: string,
  repository: string,
  ...args: readonly string[]
): string {
  return repositories.git(
    repository,
    '-c', 'gpg.format=ssh',
    '-c', `user.signingkey=${join(repositories.root, key)}`,
    ...args,
  ); // oxfmt-ignore
}

/** A commit or tag out of a repository, byte for byte. */
export function objectOf(repositories: Repositories, repository: string, name: string): GitObject {
  const sha = repositories.git(repository, 'rev-parse', name);
  const kind = repositories.git(repository, 'cat-file', '-t', sha) as GitObject['kind'];
  const args = ['-C', join(repositories.root, repository), 'cat-file', kind, sha];
  return { kind, sha, raw: spawnSync('git', args).stdout };
}
