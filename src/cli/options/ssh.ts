import { resolve } from 'node:path';
import { TsbuildError } from '../../util/index.ts';
import type { CliContext } from '../context.ts';

const EXAMPLE = {
  hint: 'for example: --ssh default, --ssh default=$HOME/.ssh/id_ed25519 or --ssh deploy=one.pem,two.pem',
};

/**
 * Parses `--ssh` values as docker does: `ID[=PATH,...]`. Without paths the agent at `$SSH_AUTH_SOCK` is meant; the empty id is
 * `default`. What the paths name is looked at when the build begins.
 * @returns id to absolute paths
 * @throws TsbuildError `TSB_USAGE`
 */
export function parseSsh(context: CliContext, values: readonly string[]): Map<string, readonly string[]> {
  const agents = new Map<string, readonly string[]>();
  // The same value twice is no contradiction.
  for (const text of new Set(values)) {
    const at = text.indexOf('=');
    const id = (at < 0 ? text : text.slice(0, at)) || 'default';
    const list = at < 0 ? '' : text.slice(at + 1);
    if (agents.has(id)) throw refuse(text, `there is another agent with id ${JSON.stringify(id)}`);
    agents.set(
      id,
      list === '' ? [ownAgent(context, id)] : list.split(',').map((path) => absolute(context, text, path)),
    );
  }
  return agents;
}

/** The agent of the caller, where `--ssh` names no socket and no key. */
function ownAgent({ env, cwd }: CliContext, id: string): string {
  const socket = env['SSH_AUTH_SOCK'];
  if (socket) return resolve(cwd, socket);
  throw new TsbuildError(
    'TSB_USAGE',
    `Cannot use --ssh ${id}: there is no SSH agent, because SSH_AUTH_SOCK is not set`,
    {
      hint: `start one with: eval "$(ssh-agent)" && ssh-add; or name a key: --ssh ${id}=FILE`,
    },
  );
}

/** Paths are relative to where the command was typed. */
function absolute({ cwd }: CliContext, text: string, path: string): string {
  if (path === '') throw refuse(text, 'a path is empty');
  // An option of buildctl, which gives steps the agent without a filter.
  if (path.startsWith('raw=')) throw refuse(text, 'raw sockets are not supported');
  return resolve(cwd, path);
}

function refuse(text: string, why: string): TsbuildError {
  return new TsbuildError('TSB_USAGE', `Cannot use --ssh ${JSON.stringify(text)}: ${why}`, EXAMPLE);
}
