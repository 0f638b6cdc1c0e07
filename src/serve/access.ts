import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { compare } from 'bcryptjs';
import { fromErrno, TsbuildError } from '../util/index.ts';
import { Fault } from './fault.ts';

/** A right answer counts for so long without being worked out again: bcrypt is slow on purpose. */
const REMEMBERED_MS = 300_000;
const MAX_REMEMBERED = 1000;

/** Who may do what. */
export interface Access {
  /** @throws Fault 401 for one who does not say who they are, or says it wrong; 403 for what nobody may do here */
  check(request: IncomingMessage, writes: boolean): Promise<void>;
}

/** Whether an address is one of this machine alone. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * The rules of a registry: with a file of passwords everybody has to give one, without it reading is free and writing only where the
 * caller said so.
 * @param now milliseconds since the epoch
 * @throws TsbuildError `TSB_USAGE` when the file cannot be used
 */
export function openAccess(
  { htpasswd, writable }: { readonly htpasswd?: string; readonly writable: boolean },
  now: () => number,
): Access {
  const users = htpasswd === undefined ? undefined : new Passwords(htpasswd, now);
  return {
    async check(request, writes) {
      refuseBrowsers(request);
      if (users && !(await users.accept(request.headers.authorization)))
        throw new Fault(401, 'UNAUTHORIZED', 'authentication required', {
          'www-authenticate': 'Basic realm="tsbuild registry", charset="UTF-8"',
        });
      if (writes && !writable) throw new Fault(403, 'DENIED', 'this registry is read-only');
    },
  };
}

/**
 * A page that somebody looks at must not read or write images by the browser's reach to loopback. Browsers say who they are, and clients of
 * registries do not.
 */
function refuseBrowsers({ headers }: IncomingMessage): void {
  if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined)
    throw new Fault(403, 'DENIED', 'this registry is not for web pages');
}

/** Apache's htpasswd with bcrypt, as `htpasswd -B` writes it: the one form that docker-registry takes. Read again when it changes. */
class Passwords {
  readonly #path: string;
  readonly #now: () => number;
  #read: { readonly stamp: string; readonly hashes: ReadonlyMap<string, string> } | undefined;
  readonly #accepted = new Map<string, number>();
  /** One at a time, so that guessing does not take all of the processor. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(path: string, now: () => number) {
    this.#path = path;
    this.#now = now;
    this.#hashes();
  }

  async accept(authorization: string | undefined): Promise<boolean> {
    const hashes = this.#hashes();
    const basic = /^basic ([A-Za-z0-9+/]+={0,2})$/i.exec(authorization ?? '')?.[1];
    if (basic === undefined) return false;
    const key = createHash('sha256').update(basic).digest('base64');
    const until = this.#accepted.get(key);
    if (until !== undefined && until > this.#now()) return true;
    const pair = Buffer.from(basic, 'base64').toString('utf8');
    const colon = pair.indexOf(':');
    if (colon < 0) return false;
    const [user, password] = [pair.slice(0, colon), pair.slice(colon + 1)];
    const turn = this.#turn.then(async () => compare(password, hashes.get(user) ?? NOBODY));
    this.#turn = turn.catch(() => undefined);
    if (!(await turn) || !hashes.has(user)) return false;
    if (this.#accepted.size >= MAX_REMEMBERED) this.#accepted.clear();
    this.#accepted.set(key, this.#now() + REMEMBERED_MS);
    return true;
  }

  #hashes(): ReadonlyMap<string, string> {
    try {
      const { mtimeNs, size, ino } = statSync(this.#path, { bigint: true });
      const stamp = `${ino} ${size} ${mtimeNs}`;
      if (this.#read?.stamp !== stamp) {
        this.#read = { stamp, hashes: parsePasswords(readFileSync(this.#path, 'utf8'), this.#path) };
        this.#accepted.clear();
      }
      return this.#read.hashes;
    } catch (error) {
      throw fromErrno(error, `Cannot read the passwords ${JSON.stringify(this.#path)}`, 'TSB_USAGE');
    }
  }
}

/** Whom there is not takes as long as whom there is. */
const NOBODY = '$2b$10$CwTycUXWue0Thq9StjUM0uJ8rAiUNJH3p1VuMuNWAoLqhPHy3rFpe';

/** @throws TsbuildError `TSB_USAGE` with the number of a line that is none */
export function parsePasswords(text: string, path: string): ReadonlyMap<string, string> {
  const hashes = new Map<string, string>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, user, hash] = /^([^:]+):(\$2[aby]\$\d\d\$[./A-Za-z0-9]{53})$/.exec(line) ?? [];
    if (user === undefined || hash === undefined)
      throw new TsbuildError(
        'TSB_USAGE',
        `Cannot use the passwords ${JSON.stringify(path)}: line ${index + 1} is not a name and a bcrypt hash`,
        { hint: 'write it with: htpasswd -B FILE NAME' },
      );
    hashes.set(user, hash);
  }
  return hashes;
}
