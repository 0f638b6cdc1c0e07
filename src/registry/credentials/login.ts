import { isHost, parseReference } from '../../image/index.ts';
import type { Task } from '../../events/index.ts';
import { isTsbuildError, TsbuildError } from '../../util/index.ts';
import { hostKey } from './auth-key.ts';
import { Caller, type Call } from '../caller.ts';
import { endpointsFor, emptyRegistriesConfig } from '../registries-conf.ts';
import type { Credential, RegistryOptions } from '../types.ts';

/** What a login is for: a registry, or a namespace or repository of it. */
export interface LoginTarget {
  readonly host: string;
  /** Empty for the registry. */
  readonly path: string;
  /** The two as a key of auth files. */
  readonly key: string;
}

/**
 * What `login` and `logout` are told: `HOST[:PORT][/NAMESPACE[/REPOSITORY]]`, also as the address of a registry.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseLoginTarget(text: string): LoginTarget {
  const bad = (why: string): TsbuildError =>
    new TsbuildError('TSB_USAGE', `Cannot use ${JSON.stringify(text)} as a registry: ${why}`, {
      hint: 'for example: ghcr.io, localhost:5000, quay.io/team',
    });
  const bare = text.replace(/^https?:\/\//i, '');
  const [host = '', ...rest] = bare.replace(/\/(?:v[12]\/?)?$/, '').split('/');
  const path = rest.join('/');
  if (host.includes('@')) throw bad('user name and password do not belong there');
  if (!isHost(host)) throw bad('it is not a host name');
  try {
    const reference = parseReference(`${host}/${path || 'x'}`);
    if (reference.tag !== undefined || reference.digest !== undefined) throw bad('a registry has no tag');
  } catch (error) {
    if (isTsbuildError(error, 'TSB_USAGE')) throw bad('it is not a host, namespace or repository');
    throw error;
  }
  return { host: hostKey(host), path, key: path === '' ? hostKey(host) : `${hostKey(host)}/${path}` };
}

/**
 * Tries credentials: asks the registry for its base resource, which needs no repository (distribution-spec, "Determining Support").
 * @param options without credentials of its own
 * @returns whether somebody asked for them; where nobody did, they may be right or wrong
 * @throws TsbuildError `TSB_REGISTRY` when they are refused, `TSB_NETWORK`
 */
export async function checkLogin(
  task: Task,
  target: LoginTarget,
  credential: Credential,
  options: Omit<RegistryOptions, 'credentials'>,
): Promise<boolean> {
  const { host } = target;
  const doing = `Cannot log in to ${JSON.stringify(host)}`;
  let wasAsked = false;
  const credentials = {
    get: (): Promise<Credential> => {
      wasAsked = true;
      return Promise.resolve(credential);
    },
  };
  await using caller = new Caller({ ...options, credentials });
  const call: Call = {
    doing,
    endpoint: { host, path: '', insecure: isInsecure(host, options), mirror: false },
    method: 'GET',
    path: '',
    scope: '',
  };
  const answer = await caller.call(task, call);
  if (answer.status === 200) {
    answer.discard();
    return wasAsked;
  }
  if (answer.status === 401 || answer.status === 403)
    throw new TsbuildError('TSB_REGISTRY', `${doing}: the registry refuses these credentials`, {
      hint: 'check user name and password; many registries want an access token in place of the password',
      cause: await caller.failure(task, call, answer),
    });
  if (answer.status === 404) {
    answer.discard();
    throw new TsbuildError('TSB_REGISTRY', `${doing}: ${answer.url.origin}/v2/ is not a registry (404 Not Found)`, {
      hint: 'check the spelling of the host, and its port',
    });
  }
  throw await caller.failure(task, call, answer);
}

/** Whether registries.conf, or being this machine, lets a registry do without verified TLS. */
function isInsecure(host: string, { config = emptyRegistriesConfig }: RegistryOptions): boolean {
  return endpointsFor({ host, path: 'x' }, config).at(-1)?.insecure ?? false;
}
