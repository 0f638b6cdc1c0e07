// BuildKit's buildctl, as far as it builds Dockerfiles.
import { join } from 'node:path';
import { parseFlags, UsageError } from './flags.mjs';

/** @type {Readonly<Record<string, 'value' | 'switch'>>} */
const GLOBAL = {
  '--addr': 'value',
  '--debug': 'switch',
  '--log-format': 'value',
  '--timeout': 'value',
  '--tlscacert': 'value',
  '--tlscert': 'value',
  '--tlsdir': 'value',
  '--tlskey': 'value',
  '--tlsservername': 'value',
  '--wait': 'switch',
};

/** @type {Readonly<Record<string, 'value' | 'switch'>>} */
export const KINDS = {
  '--allow': 'value',
  '--build-arg': 'value',
  '--debug-json-cache-metrics': 'value',
  '--exporter': 'value',
  '--exporter-opt': 'value',
  '--export-cache': 'value',
  '--export-cache-opt': 'value',
  '--frontend': 'value',
  '--frontend-opt': 'value',
  '--import-cache': 'value',
  '--local': 'value',
  '--metadata-file': 'value',
  '--no-cache': 'switch',
  '--oci-layout': 'value',
  '--opt': 'value',
  '--output': 'value',
  '-o': 'value',
  '--progress': 'value',
  '--ref-file': 'value',
  '--registry-auth-tlscontext': 'value',
  '--secret': 'value',
  '--source-policy-file': 'value',
  '--ssh': 'value',
  '--trace': 'value',
};

/** Flags with the same meaning, under the name that they have here. */
const SAME = {
  '--allow': '--allow',
  '--build-arg': '--build-arg',
  '--export-cache': '--cache-to',
  '--import-cache': '--cache-from',
  '--metadata-file': '--metadata-file',
  '--progress': '--progress',
  '--secret': '--secret',
  '--source-policy-file': '--source-policy',
  '--ssh': '--ssh',
};

const REFUSED = {
  '--exporter': 'write --output type=TYPE,KEY=VALUE',
  '--exporter-opt': 'write --output type=TYPE,KEY=VALUE',
  '--export-cache-opt': 'write --export-cache type=TYPE,KEY=VALUE',
  '--oci-layout': 'write --build-context NAME=oci-layout://DIRECTORY for "tsbuild build"',
  '--registry-auth-tlscontext': 'certificates of registries belong into ~/.config/containers/certs.d/HOST',
};

const IGNORED = new Set(['--debug-json-cache-metrics', '--ref-file', '--trace']);

/** Options of the Dockerfile frontend (`--opt KEY=VALUE`), by what stands before a colon or by the whole. */
const OPTIONS = {
  'add-hosts': (/** @type {string} */ value) => value.split(',').map((pair) => `--add-host=${pair}`),
  'force-network-mode': (/** @type {string} */ value) => [`--network=${value}`],
  hostname: (/** @type {string} */ value) => [`--hostname=${value}`],
  'image-resolve-mode': (/** @type {string} */ value) => (value === 'pull' ? ['--pull'] : []),
  'no-cache': (/** @type {string} */ value) => (value === '' ? ['--no-cache'] : [`--no-cache-filter=${value}`]),
  platform: (/** @type {string} */ value) => [`--platform=${value}`],
  'shm-size': (/** @type {string} */ value) => [`--shm-size=${value}`],
  target: (/** @type {string} */ value) => (value === '' ? [] : [`--target=${value}`]),
  ulimit: (/** @type {string} */ value) => value.split(',').map((one) => `--ulimit=${one}`),
};

/**
 * @param {readonly string[]} line as buildctl-daemonless.sh got it
 * @returns {import('./run.mjs').Translation}
 * @throws {UsageError} for what has no counterpart, with a hint
 */
export function translateBuildctl(line) {
  const global = parseFlags(line, GLOBAL, { once: true });
  const [command, ...rest] = global.words;
  const notes = global.flags.flatMap(({ name }) =>
    name === '--debug' ? [] : [`${name} is ignored: there is no daemon`],
  );
  if (command === 'du' || command === 'prune') return { args: [command], notes };
  if (command !== 'build' && command !== 'b')
    throw new UsageError(
      command === undefined ? 'There is no command' : `buildctl ${command} is not supported`,
      'what works is: build --frontend dockerfile.v0 --local context=DIR --local dockerfile=DIR',
    );
  const { flags, words } = parseFlags(rest, KINDS);
  if (words.length > 0) throw new UsageError(`${JSON.stringify(words[0])} is no flag`);
  const values = (/** @type {readonly string[]} */ ...names) =>
    flags.flatMap(({ name, value }) => (names.includes(name) ? [String(value)] : []));

  const frontend = values('--frontend').at(-1);
  if (frontend !== 'dockerfile.v0')
    throw new UsageError(
      frontend === undefined
        ? 'Definitions on standard input are not supported'
        : `The frontend ${frontend} is not supported`,
      'write --frontend dockerfile.v0',
    );
  const args = ['build'];
  for (const { name, value } of flags) {
    if (Object.hasOwn(REFUSED, name)) throw new UsageError(`${name} is not supported`, REFUSED[name]);
    if (IGNORED.has(name)) notes.push(`${name} is ignored`);
    if (Object.hasOwn(SAME, name)) args.push(`${SAME[name]}=${value}`);
    if (name === '--no-cache' && value === true) args.push('--no-cache');
  }
  const options = values('--opt', '--frontend-opt').map(pairOf);
  args.push(...options.flatMap(([key, value]) => optionOf(key, value)));
  const outputs = values('--output', '-o').map(outputOf);
  // Without an output buildctl leaves what it built in the daemon's cache.
  args.push(...(outputs.length > 0 ? outputs : ['type=cacheonly']).map((output) => `--output=${output}`));
  return { args: [...args, ...sources(values('--local').map(pairOf), new Map(options))], notes };
}

/** `KEY=VALUE`; without a value it is empty. @param {string} text @returns {[string, string]} */
function pairOf(text) {
  const [key = '', value = ''] = text.split(/=(.*)/s);
  return [key, value];
}

/** @param {string} key @param {string} value @returns {readonly string[]} */
function optionOf(key, value) {
  if (Object.hasOwn(OPTIONS, key)) return OPTIONS[key](value);
  const [kind = '', name = ''] = key.split(/:(.*)/s);
  switch (kind) {
    case 'build-arg':
      return [`--build-arg=${name}=${value}`];
    case 'label':
      return [`--label=${name}=${value}`];
    case 'context':
      if (name !== '') return contextOption(name, value);
      return [];
    case 'attest':
      return /(^|,)disabled=true(,|$)/.test(value) ? [] : [`--${name}=${value === '' ? 'true' : value}`];
    case 'filename':
    case 'multi-platform':
      return [];
    default:
      throw new UsageError(`--opt ${key} is not supported`, '"tsbuild build --help" lists what there is');
  }
}

/** `context:NAME=local:OTHER` names a --local; what that is stands in `sources`. @param {string} name @param {string} value */
function contextOption(name, value) {
  return value.startsWith('local:') ? [] : [`--build-context=${name}=${value}`];
}

/**
 * What is pushed needs no copy in a store that goes with the container.
 * @param {string} output
 */
function outputOf(output) {
  const fields = output.split(',');
  const isPushed = fields.some((field) => /^push=(?:true|1)$/.test(field));
  if (isPushed && fields.includes('type=image') && !fields.some((field) => field.startsWith('store=')))
    return fields.map((field) => (field === 'type=image' ? 'type=registry' : field)).join(',');
  const isArchive = fields.some((field) => /^type=(?:oci|docker|tar)$/.test(field));
  return isArchive && !fields.some((field) => field.startsWith('dest=')) ? `${output},dest=-` : output;
}

/**
 * The Dockerfile and the context. The directories are `--local`, unless an address stands in for the context.
 * @param {readonly [string, string][]} pairs
 * @param {ReadonlyMap<string, string>} options
 */
function sources(pairs, options) {
  const locals = new Map(pairs);
  const named = [...options].flatMap(([key, value]) => {
    if (!key.startsWith('context:') || !value.startsWith('local:')) return [];
    const directory = locals.get(value.slice('local:'.length));
    if (directory === undefined) throw new UsageError(`There is no --local ${value.slice('local:'.length)}`);
    return [`--build-context=${key.slice('context:'.length)}=${directory}`];
  });
  const context = options.get('context') ?? locals.get('context');
  if (context === undefined) throw new UsageError('There is no context', 'write --local context=DIRECTORY');
  const filename = options.get('filename');
  const directory = locals.get('dockerfile');
  if (directory === undefined) return [...named, ...(filename === undefined ? [] : [`--file=${filename}`]), context];
  return [...named, `--file=${join(directory, filename ?? 'Dockerfile')}`, context];
}
