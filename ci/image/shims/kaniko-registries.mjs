// How kaniko's executor is told about registries: here by registries.conf(5) and containers-certs.d(5).
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from './flags.mjs';

/**
 * @param {object} of
 * @param {(name: string) => string | boolean | undefined} of.last the last value of a flag
 * @param {(name: string) => readonly string[]} of.all all of them
 * @param {readonly string[]} of.destinations
 * @param {Readonly<Record<string, string | undefined>>} of.env
 * @param {string} of.scratch
 * @returns {{ notes: readonly string[], environment: Readonly<Record<string, string>> }}
 */
export function registriesOf({ last, all, destinations, env, scratch }) {
  /** @type {string[]} */
  const notes = [];
  const insecure = new Set([...all('--insecure-registry'), ...all('--skip-tls-verify-registry')]);
  const lax = ['--insecure-pull', '--skip-tls-verify-pull'].filter((name) => last(name) === true);
  if (lax.length > 0) {
    // That any registry may be anybody is not something that tsbuild can be told.
    for (const name of destinations) insecure.add(hostOf(name));
    notes.push(`${lax.join(', ')}: for the registries of the destinations; others need --insecure-registry=HOST`);
  }
  const mirrors = all('--registry-mirror');
  for (const file of all('--registry-certificate')) notes.push(placeCertificate(file, env));
  for (const file of all('--registry-client-cert')) notes.push(...placeClientCertificate(file, env));
  const environment = dockerConfig(env);
  if (insecure.size === 0 && mirrors.length === 0) return { notes, environment };
  const config = join(scratch, 'registries.conf');
  writeFileSync(config, existing(env) + tables(insecure, mirrors));
  return { notes, environment: { ...environment, CONTAINERS_REGISTRIES_CONF: config } };
}

/** @param {string} name of an image */
function hostOf(name) {
  const [first = ''] = name.split('/');
  return /[.:]|^localhost$/.test(first) && name.includes('/') ? first : 'docker.io';
}

/**
 * @param {ReadonlySet<string>} insecure
 * @param {readonly string[]} mirrors of the Docker Hub
 */
function tables(insecure, mirrors) {
  const text = (/** @type {string} */ value) => JSON.stringify(value);
  const table = [...insecure].map((host) => `\n[[registry]]\nlocation = ${text(host)}\ninsecure = true\n`);
  if (mirrors.length > 0) {
    table.push('\n[[registry]]\nlocation = "docker.io"\n');
    for (const mirror of mirrors)
      table.push(`[[registry.mirror]]\nlocation = ${text(mirror)}\ninsecure = ${insecure.has(hostOf(`${mirror}/`))}\n`);
  }
  return table.join('');
}

/** What is configured already. @param {Readonly<Record<string, string | undefined>>} env */
function existing(env) {
  const path = env['CONTAINERS_REGISTRIES_CONF'] ?? '/etc/containers/registries.conf';
  return existsSync(path) ? `${readFileSync(path, 'utf8')}\n` : '';
}

/** kaniko's image reads /kaniko/.docker/config.json. @param {Readonly<Record<string, string | undefined>>} env */
function dockerConfig(env) {
  const folder = '/kaniko/.docker';
  /** @type {Record<string, string>} */
  const own = {};
  if (env['DOCKER_CONFIG'] === undefined && existsSync(join(folder, 'config.json'))) own['DOCKER_CONFIG'] = folder;
  return own;
}

/** @param {Readonly<Record<string, string | undefined>>} env @param {string} host */
function certificates(env, host) {
  if (env['HOME'] === undefined)
    throw new UsageError('There is no home directory to put certificates into', 'set $HOME');
  if (host === '' || /[/\\]|^\.{1,2}$/.test(host)) throw new UsageError(`${JSON.stringify(host)} is not a registry`);
  const folder = join(env['HOME'], '.config/containers/certs.d', host);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** `HOST=FILE`, an authority. @param {string} pair @param {Readonly<Record<string, string | undefined>>} env */
function placeCertificate(pair, env) {
  const [host = '', file = ''] = pair.split(/=(.*)/s);
  if (file === '') throw new UsageError('--registry-certificate takes HOST=FILE');
  const target = join(certificates(env, host), 'kaniko.crt');
  copyFileSync(file, target);
  return `--registry-certificate: the certificate is at ${target}`;
}

/** `HOST=CERTIFICATE,KEY`. @param {string} pair @param {Readonly<Record<string, string | undefined>>} env */
function placeClientCertificate(pair, env) {
  const [host = '', files = ''] = pair.split(/=(.*)/s);
  const [certificate = '', key = ''] = files.split(',');
  if (key === '') throw new UsageError('--registry-client-cert takes HOST=CERTIFICATE,KEY');
  const folder = certificates(env, host);
  copyFileSync(certificate, join(folder, 'kaniko.cert'));
  copyFileSync(key, join(folder, 'kaniko.key'));
  return [`--registry-client-cert: certificate and key are in ${folder}`];
}
