import { spawn, spawnSync, type StdioOptions } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Who runs a scenario: the namespaces differ (id shift and nested user namespace for root). */
export type Who = 'root' | 'user';

/** Both where the tests run as root; else whoever runs them is the user. */
export const everyone: readonly Who[] = process.getuid?.() === 0 ? ['root', 'user'] : ['user'];

const USER = 'tsbuild-test';
export const driverPath: string = fileURLToPath(new URL('./driver.ts', import.meta.url));

/** Makes the unprivileged user with subordinate ids, unless it is there. Gives its ids. */
export function ensureUser(): { readonly uid: number; readonly gid: number } {
  const find = (): { uid: number; gid: number } | undefined => {
    const line = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((entry) => entry.startsWith(`${USER}:`));
    const [, , uid, gid] = line?.split(':') ?? [];
    return uid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
  };
  if (!find()) spawnSync('useradd', ['--create-home', USER]);
  const has = (file: string): boolean => new RegExp(`^${USER}:`, 'm').test(readFileSync(file, 'utf8'));
  if (!has('/etc/subuid')) spawnSync('usermod', ['--add-subuids', '500000-565535', USER]);
  if (!has('/etc/subgid')) spawnSync('usermod', ['--add-subgids', '500000-565535', USER]);
  const found = find();
  if (!found) throw new Error(`Cannot make user ${USER}`);
  return found;
}

/** The command that runs a program as `who`. */
export function commandAs(who: Who, command: readonly string[]): readonly string[] {
  if (who === 'root' || process.getuid?.() !== 0) return command;
  const { uid, gid } = ensureUser();
  return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--init-groups', ...command];
}

/**
 * Runs `name` of scenarios.ts in a process of its own as `who` and gives what it returns.
 * @param options.leak leaves the machine's root directory open in that process, as descriptors 20 and 200
 */
export async function runScenario<T>(
  who: Who,
  name: string,
  argument: unknown = null,
  options: { readonly leak?: boolean } = {},
): Promise<T> {
  const [program = '', ...args] = commandAs(who, [process.execPath, driverPath, name, JSON.stringify(argument)]);
  // Node marks only low descriptors close-on-exec: 20 and 200 reach what its children start.
  const root = options.leak ? openSync('/', 'r') : undefined;
  const leaked =
    root === undefined ? [] : Array.from({ length: 198 }, (_, at) => (at === 17 || at === 197 ? root : 'ignore'));
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe', ...leaked] as StdioOptions, cwd: '/' });
  if (root !== undefined) closeSync(root);
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout?.on('data', (data: Buffer) => output.push(data));
  child.stderr?.on('data', (data: Buffer) => errors.push(data));
  const timer = setTimeout(() => child.kill('SIGKILL'), 90_000);
  const code = await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(timer);
  const text = Buffer.concat(output).toString();
  if (code !== 0) throw new Error(`scenario ${name} as ${who} failed: ${Buffer.concat(errors).toString()}\n${text}`);
  return JSON.parse(text.slice(text.lastIndexOf('\n', text.length - 2) + 1)) as T;
}
