import type { Task } from '../../events/index.ts';
import { parseStrictJson, TsbuildError } from '../../util/index.ts';
import { type HelperRun, runHelper } from './helper-process.ts';
import { findTrusted } from './trusted-program.ts';
import type { Credential, PasswordCredential } from '../types.ts';

/** How credential helpers are found and run. */
export interface HelperOptions {
  /** The user's `$PATH`. */
  readonly searchPath: string;
  /** All of their environment. */
  readonly env: Readonly<Record<string, string>>;
  /** How long one may take, in ms: it may have to ask its user something. Default 60 s. */
  readonly timeoutMs?: number;
}

/** What a helper answers where it has nothing. */
const NOT_FOUND = 'credentials not found in native keychain';

/**
 * Finds the program of a helper.
 * @param name as auth files have it: `pass` for the program `docker-credential-pass`
 * @param where the file that names it, for messages
 * @returns undefined when it is not installed
 * @throws TsbuildError `TSB_REGISTRY` for a name that could lead elsewhere (REG-16), `TSB_PERMISSION` as `findTrusted`
 */
export function findHelper(name: string, options: HelperOptions, where: string): CredentialHelper | undefined {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name))
    throw new TsbuildError(
      'TSB_REGISTRY',
      `Cannot use the credential helper ${JSON.stringify(name.slice(0, 80))} of ${where}: letters, digits and hyphens make a name`,
      { hint: 'correct credsStore or credHelpers in that file, or remove it' },
    );
  const program = findTrusted(`docker-credential-${name}`, options.searchPath, 'the credential helper');
  return program === undefined ? undefined : new CredentialHelper(name, program, options);
}

/**
 * A program that keeps credentials, spoken to by docker's protocol: the verb is its argument, everything else goes over standard input
 * and output, so that no secret is among the arguments of a process. What it prints is not shown, for secrets may be in it.
 */
export class CredentialHelper {
  readonly name: string;
  readonly #program: string;
  readonly #options: HelperOptions;

  constructor(name: string, program: string, options: HelperOptions) {
    this.name = name;
    this.#program = program;
    this.#options = options;
  }

  /** @returns undefined where the helper has nothing @throws TsbuildError `TSB_REGISTRY`, `TSB_CANCELED` */
  async get(task: Task, server: string): Promise<Credential | undefined> {
    const { code, output } = await this.#run(task, 'get', server);
    if (code !== 0) {
      if (output.toString('utf8').trim() === NOT_FOUND) return undefined;
      throw this.#failure('get', server, `it ended with exit code ${code}`);
    }
    const answer = this.#parse('get', server, output);
    const { Username: username, Secret: secret } = answer;
    if (typeof username !== 'string' || typeof secret !== 'string')
      throw this.#failure('get', server, 'its answer has no Username and Secret');
    if (username === '' && secret === '') return undefined;
    return username === '<token>' ? { identityToken: secret } : { username, password: secret };
  }

  /** @throws TsbuildError `TSB_REGISTRY`, `TSB_CANCELED` */
  async store(task: Task, server: string, credential: PasswordCredential): Promise<void> {
    const { username, password } = credential;
    const { code } = await this.#run(
      task,
      'store',
      server,
      JSON.stringify({ ServerURL: server, Username: username, Secret: password }),
    );
    if (code !== 0) throw this.#failure('store', server, `it ended with exit code ${code}`);
  }

  /** @returns whether there was something @throws TsbuildError `TSB_REGISTRY`, `TSB_CANCELED` */
  async erase(task: Task, server: string): Promise<boolean> {
    // Not every helper fails for what it does not have.
    if ((await this.get(task, server)) === undefined) return false;
    const { code } = await this.#run(task, 'erase', server);
    if (code !== 0) throw this.#failure('erase', server, `it ended with exit code ${code}`);
    return true;
  }

  /** The servers that it has credentials for. @throws TsbuildError `TSB_REGISTRY`, `TSB_CANCELED` */
  async list(task: Task): Promise<readonly string[]> {
    const { code, output } = await this.#run(task, 'list', '', 'unused');
    if (code !== 0) throw this.#failure('list', '', `it ended with exit code ${code}`);
    return Object.keys(this.#parse('list', '', output));
  }

  #run(task: Task, verb: HelperRun['verb'], server: string, input: string = server): ReturnType<typeof runHelper> {
    const { env, timeoutMs = 60_000 } = this.#options;
    const fail = (why: string): TsbuildError => this.#failure(verb, server, why);
    return runHelper(task, { program: this.#program, verb, input, env, timeoutMs, fail });
  }

  /** The parser's own message could quote what it read. */
  #parse(verb: string, server: string, output: Buffer): Record<string, unknown> {
    let answer: unknown;
    try {
      answer = parseStrictJson(output, { what: 'an answer' });
    } catch {
      throw this.#failure(verb, server, 'its answer is not JSON');
    }
    if (typeof answer === 'object' && answer !== null && !Array.isArray(answer))
      return answer as Record<string, unknown>;
    throw this.#failure(verb, server, 'its answer is not a JSON object');
  }

  #failure(verb: string, server: string, why: string): TsbuildError {
    const purpose = server === '' ? '' : ` for ${JSON.stringify(server)}`;
    const self = `docker-credential-${this.name}`;
    return new TsbuildError('TSB_REGISTRY', `Cannot use the credential helper "${self}" (${verb}${purpose}): ${why}`, {
      hint:
        verb === 'get'
          ? `see what it says: printf '%s' '${server}' | ${self} get; or remove it from credsStore and credHelpers of the auth file`
          : `see what it says: ${self} list; or remove it from credsStore and credHelpers of the auth file`,
    });
  }
}
