import { spawnSync } from 'node:child_process';

/**
 * Makes the terminal that is this process's standard input raw, so that every byte goes through as it is, both ways. Node's own raw mode
 * still turns line feeds into carriage return and line feed, after the container's terminal has done so.
 * @returns what makes it as it was again; undefined when there is no terminal
 */
export function makeTerminalRaw(helperPath: string): (() => void) | undefined {
  const call = (...args: string[]): string | undefined => {
    const { status, stdout } = spawnSync(helperPath, ['terminal', ...args], {
      env: {},
      stdio: ['inherit', 'pipe', 'ignore'],
      encoding: 'latin1',
    });
    return status === 0 ? stdout : undefined;
  };
  const before = call('raw');
  return before === undefined ? undefined : () => void call('set', before);
}
