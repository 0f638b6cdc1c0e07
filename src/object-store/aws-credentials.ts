import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Task } from '../events/index.ts';
import { errnoOf, fromErrno, TsbuildError } from '../util/index.ts';
import type { AwsKey } from './aws-key.ts';
import { containerCredentials, instanceCredentials, webIdentityCredentials } from './aws-metadata.ts';
import { parseProfiles } from './aws-profiles.ts';
import type { Surroundings } from './service.ts';

/** Where a key may be, as Amazon's own clients look for it. */
export interface AwsKeySources {
  /** Given with the request itself. */
  readonly given?: Pick<AwsKey, 'accessKeyId' | 'secretAccessKey' | 'sessionToken'>;
  /** `AWS_…` of the environment. */
  readonly env: Readonly<Record<string, string>>;
  /** The user's home directory. */
  readonly home: string;
  /** For the service that roles are assumed at. */
  readonly region: string;
}

/** A key is asked for anew so long before it ends, in ms. */
const RENEW_BEFORE_MS = 5 * 60_000;

/** Finds the key for a bucket when it is needed first, and anew before it ends. */
export class AwsKeys {
  readonly #sources: AwsKeySources;
  readonly #surroundings: Surroundings;
  #found: Promise<AwsKey> | undefined;
  /** What was found with `last`. */
  #settled: Promise<AwsKey> | undefined;
  #last: AwsKey | undefined;

  constructor(sources: AwsKeySources, surroundings: Surroundings) {
    this.#sources = sources;
    this.#surroundings = surroundings;
  }

  /** The key that was given out last, for messages. */
  get last(): AwsKey | undefined {
    return this.#last;
  }

  /** @throws TsbuildError `TSB_USAGE` when there is none; what a service that gives keys out answers */
  async get(task: Task): Promise<AwsKey> {
    const ends = this.#last?.expiresAt;
    const isEnding = ends !== undefined && ends - this.#surroundings.now() < RENEW_BEFORE_MS;
    if (isEnding && this.#found === this.#settled) this.#found = undefined;
    // Whoever asks meanwhile waits for the same answer; a failure is not kept.
    const finding = (this.#found ??= findKey(task, this.#sources, this.#surroundings));
    try {
      this.#last = await finding;
      this.#settled = finding;
      return this.#last;
    } catch (error) {
      if (this.#found === finding) this.#found = undefined;
      throw error;
    }
  }
}

/** In the order of Amazon's clients: given, environment, web identity, files, container, machine. */
async function findKey(task: Task, sources: AwsKeySources, surroundings: Surroundings): Promise<AwsKey> {
  const { given, env, region } = sources;
  if (given !== undefined) return { ...given, from: 'the attributes access_key_id and secret_access_key' };
  const own = keyOf(env, 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'variable');
  if (own !== undefined) return own;
  const found =
    (await webIdentityCredentials(task, env, region, surroundings)) ??
    (await fileKey(sources)) ??
    (await containerCredentials(task, env, surroundings)) ??
    (await instanceCredentials(task, env, surroundings));
  if (found !== undefined) return found;
  throw new TsbuildError('TSB_USAGE', 'Cannot sign requests for the bucket: there is no key', {
    hint: 'set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write a profile to ~/.aws/credentials, or give the job a role',
  });
}

/** The key of the profile in `~/.aws/credentials`, else `~/.aws/config`. */
async function fileKey({ env, home }: AwsKeySources): Promise<AwsKey | undefined> {
  const profile = env['AWS_PROFILE'] || env['AWS_DEFAULT_PROFILE'] || 'default';
  const paths = [
    env['AWS_SHARED_CREDENTIALS_FILE'] || join(home, '.aws/credentials'),
    env['AWS_CONFIG_FILE'] || join(home, '.aws/config'),
  ];
  let named = false;
  for (const path of paths) {
    const fields = parseProfiles(await textOf(path)).get(profile);
    if (fields === undefined) continue;
    named = true;
    const from = `profile ${JSON.stringify(profile)} of ${path}:`;
    const key = keyOf(fields, 'aws_access_key_id', 'aws_secret_access_key', 'aws_session_token', from);
    if (key !== undefined) return key;
  }
  // Whoever asks for a profile does not want whatever else there is.
  if (env['AWS_PROFILE'] === undefined || env['AWS_PROFILE'] === '') return undefined;
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot sign requests for the bucket: profile ${JSON.stringify(profile)} ${named ? 'has no key of its own' : 'does not exist'}`,
    {
      hint: named
        ? 'roles, SSO and credential processes of profiles are not followed here: export the key with "aws configure export-credentials --format env"'
        : `it is looked for in ${paths.join(' and ')}`,
    },
  );
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw fromErrno(error, `Cannot read ${JSON.stringify(path)}`, 'TSB_PERMISSION');
  }
}

function keyOf(
  fields: Readonly<Record<string, string>>,
  id: string,
  secret: string,
  token: string,
  from: string,
): AwsKey | undefined {
  const [accessKeyId = '', secretAccessKey = '', sessionToken = ''] = [fields[id], fields[secret], fields[token]];
  if (accessKeyId === '' && secretAccessKey === '') return undefined;
  if (accessKeyId === '' || secretAccessKey === '')
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot sign requests for the bucket: ${from} ${accessKeyId === '' ? id : secret} is missing`,
    );
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === '' ? {} : { sessionToken }),
    from: `${from} ${id}`,
  };
}
