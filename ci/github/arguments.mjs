// What the inputs of the action are on tsbuild's command line.
import { parseList } from './list.mjs';

/** @typedef {Readonly<Record<string, string>>} Inputs by name; absent is empty */

/** Lists, with the option that each item is given to. */
const LISTS = {
  'add-hosts': '--add-host',
  allow: '--allow',
  'no-cache-filters': '--no-cache-filter',
  ssh: '--ssh',
  tags: '--tag',
};
/** Lists whose items have commas in them. */
const LINES = {
  annotations: '--annotation',
  'build-args': '--build-arg',
  'build-contexts': '--build-context',
  'cache-from': '--cache-from',
  'cache-to': '--cache-to',
  labels: '--label',
  ulimit: '--ulimit',
};
const VALUES = {
  call: '--call',
  file: '--file',
  network: '--network',
  provenance: '--provenance',
  sbom: '--sbom',
  'shm-size': '--shm-size',
  target: '--target',
};
const SWITCHES = { load: '--load', 'no-cache': '--no-cache', pull: '--pull', push: '--push' };

/**
 * @param {Inputs} inputs
 * @returns {{ args: string[], environment: Record<string, string> }} values of secrets are in the environment: others see arguments
 * @throws {Error} for an input that cannot be meant
 */
export function argumentsOf(inputs) {
  const args = ['build'];
  for (const [name, option] of Object.entries(LISTS))
    for (const item of parseList(inputs[name] ?? ''))
      args.push(`${option}=${name === 'add-hosts' ? host(item) : item}`);
  for (const [name, option] of Object.entries(LINES))
    for (const item of parseList(inputs[name] ?? '', { lines: true })) args.push(`${option}=${item}`);
  // Quotes belong to the CSV that -o reads itself.
  for (const item of parseList(inputs['outputs'] ?? '', { lines: true, quotes: false })) args.push(`--output=${item}`);
  const platforms = parseList(inputs['platforms'] ?? '');
  if (platforms.length > 0) args.push(`--platform=${platforms.join(',')}`);
  for (const [name, option] of Object.entries(VALUES)) {
    const value = inputs[name] ?? '';
    if (value !== '') args.push(`${option}=${value}`);
  }
  for (const [name, option] of Object.entries(SWITCHES)) if (isOn(name, inputs[name] ?? '')) args.push(option);
  const secrets = secretsOf(inputs);
  args.push(...secrets.args);
  const context = inputs['context'] ?? '';
  return { args: [...args, '--', context === '' ? '.' : context], environment: secrets.environment };
}

/** As YAML 1.2 has booleans. @param {string} name @param {string} text */
function isOn(name, text) {
  if (/^(?:true|True|TRUE)$/.test(text)) return true;
  if (/^(?:false|False|FALSE|)$/.test(text)) return false;
  throw new Error(`The input ${name} takes true or false, not ${JSON.stringify(text)}`);
}

/** `NAME:IP` is docker's older form. @param {string} item */
function host(item) {
  return item.includes('=') ? item : item.replace(':', '=');
}

/** @param {Inputs} inputs */
function secretsOf(inputs) {
  /** @type {string[]} */
  const args = [];
  /** @type {Record<string, string>} */
  const environment = {};
  const pairs = (/** @type {string} */ name, /** @type {boolean} */ lines) =>
    parseList(inputs[name] ?? '', { lines }).map((item) => {
      const at = item.indexOf('=');
      // The item may be a secret, so that it is not in the message.
      if (at <= 0 || /[",]/.test(item.slice(0, at))) throw new Error(`The input ${name} takes ID=VALUE`);
      return /** @type {const} */ ([item.slice(0, at), item.slice(at + 1)]);
    });
  for (const [id, value] of pairs('secrets', true)) {
    const variable = `TSBUILD_ACTION_SECRET_${Object.keys(environment).length}`;
    environment[variable] = value;
    args.push(`--secret=id=${id},env=${variable}`);
  }
  for (const [id, variable] of pairs('secret-envs', false)) args.push(`--secret=id=${id},env=${variable}`);
  for (const [id, path] of pairs('secret-files', true))
    args.push(`--secret=id=${id},"src=${path.replaceAll('"', '""')}"`);
  return { args, environment };
}
