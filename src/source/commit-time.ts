import { spawn } from 'node:child_process';
import { findProgram } from '../sandbox/index.ts';
import { toText } from '../tree/index.ts';
import { sanitizeLine, TsbuildError } from '../util/index.ts';
import { findWorktree } from './worktree.ts';

const TIMEOUT_MS = 10_000;
/** Of a commit, and of what git says. */
const MAX_BYTES = 16 * 1024 ** 2;

/**
 * When the commit was made that a directory of the machine was checked out from, in seconds since the epoch; undefined where it is in no
 * working tree. The repository is a context's, and so may be anybody's: git reads one object and nothing of its configuration that would
 * run a program, whoever owns it (CVE-2022-24765 is about commands that do more).
 * @throws TsbuildError `TSB_CONTEXT`, `TSB_NOT_FOUND` without git
 */
export async function commitTimeOf(dir: string): Promise<number | undefined> {
  const worktree = findWorktree(dir);
  if (!worktree) return undefined;
  const doing = `Cannot tell when the commit of "${dir}" was made`;
  const hint = 'give the time: --source-date-epoch=SECONDS';
  const program = findProgram('git');
  if (program === undefined)
    throw new TsbuildError('TSB_NOT_FOUND', `${doing}: this machine has no git`, {
      hint: `${hint}, or install it, for example with: apt-get install git`,
    });
  const { code, out, said } = await run(program, ['--git-dir', toText(worktree.gitDir), ...SETTINGS, ...COMMIT]);
  if (code !== 0) throw new TsbuildError('TSB_CONTEXT', `${doing}: ${sanitizeLine(said.trim(), 300)}`, { hint });
  // Headers end at the first empty line; what follows is the author's.
  const time = /^committer [^\n]*> (\d{1,11}) [+-]\d+$/m.exec(out.split('\n\n', 1)[0] ?? '')?.[1];
  if (time === undefined) throw new TsbuildError('TSB_CONTEXT', `${doing}: its commit has no time`, { hint });
  return Number(time);
}

async function run(
  program: string,
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly out: string; readonly said: string }> {
  const child = spawn(program, args, {
    env: ENVIRONMENT,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
  });
  let [out, said] = ['', ''];
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    if (out.length > MAX_BYTES) child.kill('SIGKILL');
    else out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4096);
  });
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ code: null, out: '', said: error.message }));
    child.once('close', (code, signal) => resolve({ code, out, said: said || `git ended with ${signal ?? code}` }));
  });
}

const COMMIT: readonly string[] = ['cat-file', 'commit', 'HEAD'];
const SETTINGS: readonly string[] = ['-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null'];

/** git inherits nothing, and fetches nothing that a partial clone lacks. */
const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  HOME: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_NO_LAZY_FETCH: '1',
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_OPTIONAL_LOCKS: '0',
  GIT_TERMINAL_PROMPT: '0',
  GIT_ALLOW_PROTOCOL: '',
};
