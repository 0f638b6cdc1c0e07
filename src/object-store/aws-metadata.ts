import { readFile } from 'node:fs/promises';
import type { Task } from '../events/index.ts';
import { fromErrno, isTsbuildError, messageOf, parseStrictJson, TsbuildError } from '../util/index.ts';
import type { AwsKey } from './aws-key.ts';
import { Service, type ServiceRequest, type Surroundings } from './service.ts';
import { textOf } from './xml.ts';

type Env = Readonly<Record<string, string>>;

/** Where services of the machine answer with keys: never on the internet, whatever a variable says. */
const CONTAINER_HOST = 'http://169.254.170.2';
/** Hosts that may be spoken to without TLS and get a token (as Amazon's clients have it): this machine, ECS and EKS. */
const PLAIN_HOSTS = new Set(['127.0.0.1', 'localhost', '[::1]', '169.254.170.2', '169.254.170.23', '[fd00:ec2::23]']);
const INSTANCE_HOST = 'http://169.254.169.254';
/** A machine that is not Amazon's has nobody there, and is not to wait for it, in ms. */
const INSTANCE_LIMITS = { connectMs: 1000, headersMs: 2000, attempts: 1 };

/**
 * A key for the role that a job may take by its identity's token: what GitHub, GitLab and Kubernetes give jobs. Asked for at STS, with no
 * signature, since the token is what proves it.
 */
export async function webIdentityCredentials(
  task: Task,
  env: Env,
  region: string,
  surroundings: Surroundings,
): Promise<AwsKey | undefined> {
  const [role, file] = [env['AWS_ROLE_ARN'], env['AWS_WEB_IDENTITY_TOKEN_FILE']];
  if (!role || !file) return undefined;
  const token = (await tokenOf(file)).trim();
  const doing = `Cannot get a key for role ${JSON.stringify(role)}`;
  const china = region.startsWith('cn-') ? '.cn' : '';
  const url = addressOf(doing, env, 'AWS_ENDPOINT_URL_STS', `https://sts.${region}.amazonaws.com${china}/`);
  const form = new URLSearchParams({
    Action: 'AssumeRoleWithWebIdentity',
    Version: '2011-06-15',
    RoleArn: role,
    RoleSessionName: env['AWS_ROLE_SESSION_NAME'] || 'tsbuild',
    WebIdentityToken: token,
  });
  const hint = `the token comes from ${file} (AWS_WEB_IDENTITY_TOKEN_FILE): see whether the role trusts who issued it`;
  await using sts = new Service(surroundings, { secrets: () => [token], hint: () => hint });
  const xml = await documentOf(task, sts, doing, {
    method: 'POST',
    url,
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'text/xml' },
    body: form.toString(),
  });
  const [id, secret, session] = ['AccessKeyId', 'SecretAccessKey', 'SessionToken'].map((name) => textOf(xml, name));
  return checked(doing, 'role AWS_ROLE_ARN', id, secret, session, textOf(xml, 'Expiration'));
}

/** A key from the agent of a container (ECS, EKS Pod Identity). */
export async function containerCredentials(
  task: Task,
  env: Env,
  surroundings: Surroundings,
): Promise<AwsKey | undefined> {
  const relative = env['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'];
  const full = relative ? `${CONTAINER_HOST}${relative}` : env['AWS_CONTAINER_CREDENTIALS_FULL_URI'];
  if (!full) return undefined;
  const doing = "Cannot get a key from the container's agent";
  const url = URL.canParse(full) ? new URL(full) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && !(url.protocol === 'http:' && PLAIN_HOSTS.has(url.hostname))))
    throw new TsbuildError('TSB_USAGE', `${doing}: AWS_CONTAINER_CREDENTIALS_FULL_URI is not acceptable`, {
      hint: 'it is an https URL, or one of this machine or the container service',
    });
  const file = env['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'];
  const token = file ? (await tokenOf(file)).trim() : env['AWS_CONTAINER_AUTHORIZATION_TOKEN'];
  await using agent = new Service(direct(surroundings), { secrets: () => [token ?? ''], hint: () => undefined });
  const json = await documentOf(task, agent, doing, {
    method: 'GET',
    url,
    headers: {},
    ...(token ? { authorization: token } : {}),
  });
  return keyOfJson(doing, 'the agent of the container', json);
}

/** A key from the metadata service of an EC2 machine (version 2); undefined where there is none. */
export async function instanceCredentials(
  task: Task,
  env: Env,
  surroundings: Surroundings,
): Promise<AwsKey | undefined> {
  if (env['AWS_EC2_METADATA_DISABLED']?.toLowerCase() === 'true') return undefined;
  const doing = 'Cannot get a key from the metadata service of the machine';
  const host = addressOf(doing, env, 'AWS_EC2_METADATA_SERVICE_ENDPOINT', INSTANCE_HOST);
  const limits = { ...surroundings.limits, ...INSTANCE_LIMITS };
  await using service = new Service({ ...direct(surroundings), limits }, { secrets: () => [], hint: () => undefined });
  const ask = (method: 'GET' | 'PUT', path: string, headers: ServiceRequest['headers']): Promise<string> =>
    documentOf(task, service, doing, { method, url: new URL(path, host), headers });
  try {
    const token = await ask('PUT', '/latest/api/token', { 'x-aws-ec2-metadata-token-ttl-seconds': '21600' });
    const headers = { 'x-aws-ec2-metadata-token': token.trim() };
    const path = '/latest/meta-data/iam/security-credentials/';
    const role = (await ask('GET', path, headers)).split('\n')[0]?.trim() ?? '';
    return keyOfJson(doing, 'the role of the machine', await ask('GET', path + encodeURIComponent(role), headers));
  } catch (error) {
    // Most machines are not of that kind, or have no role; other clouds answer there with whatever they have.
    if (!isTsbuildError(error) || error.code === 'TSB_CANCELED') throw error;
    return undefined;
  }
}

/** Where a service is, by a variable or else as usual. @throws TsbuildError `TSB_USAGE` */
function addressOf(doing: string, env: Env, variable: string, usual: string): URL {
  const text = env[variable] || usual;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return url;
  throw new TsbuildError('TSB_USAGE', `${doing}: ${variable} is no http or https URL`);
}

/** Services of the machine itself are not behind a proxy. */
function direct(surroundings: Surroundings): Surroundings {
  return { ...surroundings, proxy: {} };
}

async function documentOf(task: Task, service: Service, doing: string, request: ServiceRequest): Promise<string> {
  const { answer, body } = await service.exchange(task, doing, () => request);
  if (answer.status !== 200) throw await service.failure(doing, answer, body);
  return body.toString();
}

function keyOfJson(doing: string, from: string, text: string): AwsKey {
  const bytes = Buffer.from(text);
  let document: Readonly<Record<string, unknown>>;
  try {
    document = { ...(parseStrictJson(bytes, { what: 'the answer' }) as object) };
  } catch (error) {
    throw new TsbuildError('TSB_REGISTRY', `${doing}: ${messageOf(error)}`, { cause: error });
  }
  const field = (name: string): string | undefined => {
    const value = document[name];
    return typeof value === 'string' ? value : undefined;
  };
  return checked(doing, from, field('AccessKeyId'), field('SecretAccessKey'), field('Token'), field('Expiration'));
}

function checked(
  doing: string,
  from: string,
  accessKeyId: string | undefined,
  secretAccessKey: string | undefined,
  sessionToken: string | undefined,
  expiration: string | undefined,
): AwsKey {
  if (!accessKeyId || !secretAccessKey || !sessionToken)
    throw new TsbuildError('TSB_REGISTRY', `${doing}: the answer has no key`);
  const expiresAt = Date.parse(expiration ?? '');
  return {
    accessKeyId,
    secretAccessKey,
    sessionToken,
    from,
    ...(Number.isNaN(expiresAt) ? {} : { expiresAt }),
  };
}

async function tokenOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw fromErrno(error, `Cannot read the token in ${JSON.stringify(file)}`, 'TSB_PERMISSION');
  }
}
