import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Runs a tool and returns its standard output. @throws Error with what it said when it fails */
export function run(command: string, ...args: readonly string[]): string {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 << 20 });
  if (result.error) throw result.error;
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr}${result.stdout}`);
  return result.stdout;
}

let policy: string | undefined;

/** skopeo with a policy that accepts everything. */
export function skopeo(...args: readonly string[]): string {
  if (policy === undefined) {
    policy = join(mkdtempSync(join(tmpdir(), 'tsbuild-policy-')), 'policy.json');
    writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}');
  }
  return run('skopeo', `--policy=${policy}`, ...args);
}
