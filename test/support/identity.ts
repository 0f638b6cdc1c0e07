import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** Who runs a command. */
export interface Identity {
  readonly name: 'root' | 'user';
  readonly uid: number;
  readonly gid: number;
  /** What stands before a command line so that it runs as this one. */
  readonly prefix: readonly string[];
}

const USER = 'tsbuild-test';

/** Whoever runs the tests; root also as an ordinary user with subordinate ids, which is made if it is not there. */
export async function identities(): Promise<readonly Identity[]> {
  const { uid, gid } = userInfo();
  const self: Identity = { name: uid === 0 ? 'root' : 'user', uid, gid, prefix: [] };
  return uid === 0 ? [self, await ordinaryUser()] : [self];
}

/** The unprivileged user of the tests; whoever runs them when that is not root. */
export async function ordinaryUser(): Promise<Identity> {
  const { uid, gid } = userInfo();
  if (uid !== 0) return { name: 'user', uid, gid, prefix: [] };
  for (let tries = 0; tries < 50; tries++) {
    const found = findUser();
    if (found) {
      const prefix = ['setpriv', `--reuid=${found.uid}`, `--regid=${found.gid}`, '--init-groups'];
      return { name: 'user', ...found, prefix };
    }
    // Fails where another test process holds the lock on the user database.
    spawnSync('useradd', ['--create-home', USER]);
    for (const [file, option] of [
      ['/etc/subuid', '--add-subuids'],
      ['/etc/subgid', '--add-subgids'],
    ] as const) {
      if (!hasLine(file)) spawnSync('usermod', [option, '500000-565535', USER]);
    }
    await sleep(100);
  }
  throw new Error(`Cannot make user ${USER}`);
}

function hasLine(file: string): boolean {
  return readFileSync(file, 'utf8')
    .split('\n')
    .some((line) => line.startsWith(`${USER}:`));
}

function findUser(): { uid: number; gid: number } | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${USER}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  if (uid === undefined || !hasLine('/etc/subuid') || !hasLine('/etc/subgid')) return undefined;
  return { uid: Number(uid), gid: Number(gid) };
}
