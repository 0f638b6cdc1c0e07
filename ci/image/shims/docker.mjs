// The docker command: tsbuild knows its commands by the same names, what is left are its own flags and what there is no daemon for.
import { parseFlags, UsageError } from './flags.mjs';

/** @type {Readonly<Record<string, 'value' | 'switch'>>} */
const GLOBAL = {
  '--config': 'value',
  '--context': 'value',
  '-c': 'value',
  '-D': 'switch',
  '--debug': 'switch',
  '-H': 'value',
  '--host': 'value',
  '-l': 'value',
  '--log-level': 'value',
  '--tls': 'switch',
  '--tlscacert': 'value',
  '--tlscert': 'value',
  '--tlskey': 'value',
  '--tlsverify': 'switch',
  '-v': 'switch',
  '--version': 'switch',
};

/** Steps of CI files that prepare a daemon or a builder. */
const PREPARATIONS =
  /^(?:buildx (?:create|use|inspect|ls|rm|stop|install|version)|context (?:create|use|ls|show)|info|system info)(?: |$)/;

/**
 * @param {readonly string[]} line as docker got it
 * @returns {import('./run.mjs').Translation}
 */
export function translateDocker(line) {
  const { flags, words } = parseFlags(line, GLOBAL, { once: true });
  /** @type {Record<string, string>} */
  const environment = {};
  /** @type {string[]} */
  const notes = [];
  const debug = flags.some(({ name, value }) => ['-D', '--debug'].includes(name) && value === true) ? ['-D'] : [];
  if (flags.some(({ name }) => name === '-v' || name === '--version')) return { args: ['--version'] };
  for (const { name, value } of flags) {
    if (name === '--config') environment['DOCKER_CONFIG'] = String(value);
    else if (!['-D', '--debug'].includes(name)) notes.push(`${name} is ignored: there is no daemon`);
  }
  if (words.length === 0) return { args: ['--help'], notes, environment };
  if (PREPARATIONS.test(words.slice(0, 2).join(' ')))
    return {
      args: [],
      notes: [...notes, `"${words.slice(0, 2).join(' ')}" does nothing: there is no daemon, and no builder to set up`],
    };
  if (words[0] === 'compose')
    throw new UsageError(
      'docker compose is not supported',
      'build its services one by one: docker build -t NAME CONTEXT',
    );
  return { args: [...debug, ...words], notes, environment };
}
