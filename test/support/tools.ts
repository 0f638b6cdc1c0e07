import { spawnSync } from 'node:child_process';

/** Runs a tool and returns its standard output. @throws Error with what it said when it fails */
export function run(command: string, ...args: readonly string[]): string {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 << 20 });
  if (result.error) throw result.error;
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr}${result.stdout}`);
  return result.stdout;
}

/** skopeo, which takes images whatever the machine's policy says of signatures. */
export function skopeo(...args: readonly string[]): string {
  return run('skopeo', '--insecure-policy', ...args);
}
