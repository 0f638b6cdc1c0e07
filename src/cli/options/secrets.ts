import { resolve } from 'node:path';
import { parseCsvLine } from '../../exporter/index.ts';
import type { SecretSource } from '../../secrets/index.ts';
import { TsbuildError } from '../../util/index.ts';
import type { CliContext } from '../context.ts';

const EXAMPLE = { hint: 'for example: --secret id=token,src=token.txt or --secret id=token,env=TOKEN' };

/**
 * Parses `--secret` values as docker does: `id=ID[,type=file|env][,src=PATH][,env=NAME]`, quoted like CSV. Without `src` and `env` the variable named
 * like the id is taken if there is one, else the file of that name. With `type=env`, `src` names the variable. One that is not set
 * gives an empty secret, which the build warns about.
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseSecrets(context: CliContext, values: readonly string[]): Map<string, SecretSource> {
  return new Map(values.map((text) => parseSecret(context, text)));
}

function parseSecret({ env, cwd }: CliContext, text: string): [string, SecretSource] {
  const fields = new Map<string, string>();
  for (const field of parseCsvLine(text)) {
    const at = field.indexOf('=');
    const key = (at < 0 ? field : field.slice(0, at)).toLowerCase();
    if (at < 0 || !['id', 'type', 'src', 'source', 'env'].includes(key))
      throw new TsbuildError(
        'TSB_USAGE',
        `Cannot use --secret ${JSON.stringify(text)}: unexpected ${JSON.stringify(field)}`,
        EXAMPLE,
      );
    fields.set(key === 'source' ? 'src' : key, field.slice(at + 1));
  }
  const id = fields.get('id');
  if (!id)
    throw new TsbuildError('TSB_USAGE', `Cannot use --secret ${JSON.stringify(text)}: the id is missing`, EXAMPLE);
  const type = fields.get('type') ?? '';
  if (!['', 'file', 'env'].includes(type))
    throw new TsbuildError(
      'TSB_USAGE',
      `Cannot use --secret ${JSON.stringify(text)}: unsupported secret type ${JSON.stringify(type)}`,
      EXAMPLE,
    );
  const variable = fields.get('env') ?? (type === 'env' ? (fields.get('src') ?? id) : undefined);
  if (variable !== undefined && type !== 'file') return [id, fromVariable(variable, env[variable])];
  const file = fields.get('src');
  const implied = env[id];
  if (file === undefined && type === '' && implied !== undefined) return [id, fromVariable(id, implied)];
  return [id, { kind: 'file', path: resolve(cwd, file ?? id) }];
}

/** A variable that is not set gives an empty secret, as in BuildKit; a warning says so when a step mounts it. */
function fromVariable(name: string, value: string | undefined): SecretSource {
  return value === undefined ? { kind: 'value', value: '', unset: name } : { kind: 'value', value };
}
