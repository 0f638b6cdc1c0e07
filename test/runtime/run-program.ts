// Runs one container in the foreground, as `tsbuild run` would: the argument is JSON with options. Exits with its code.
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { runContainer, type RunContainerOptions } from '../../src/runtime/index.ts';
import { Emulation, findSeccompFilter } from '../../src/sandbox/index.ts';
import { Kit, listTree } from '../sandbox/support/kit.ts';

const options = JSON.parse(process.argv[2] ?? '{}') as Partial<RunContainerOptions> & {
  imageConfig?: Record<string, unknown>;
};
const kit = new Kit();
// An unusual mode, to see that the container's root has it too.
chmodSync(kit.base, 0o1751);
const scratchDir = join(kit.dir, 'scratch');
mkdirSync(scratchDir);
const end = await runContainer({
  layers: [kit.base],
  callerEnv: process.env,
  cwd: kit.dir,
  hostname: 'box',
  ...options,
  config: {
    architecture: 'amd64',
    os: 'linux',
    config: { Env: ['PATH=/bin', 'FROM_IMAGE=1'], Cmd: ['/bin/sh'], ...options.imageConfig },
    rootfs: { type: 'layers', diff_ids: [] },
    history: [],
  },
  scratchDir,
  helperPath: kit.helperPath,
  seccompPath: findSeccompFilter(),
  plan: kit.plan,
  emulation: new Emulation({ scratchDir: () => kit.dir }),
});
if (end.error) process.stderr.write(`${end.error.code}: ${end.error.message}\n`);
const left = listTree(scratchDir);
if (left.length > 0) process.stderr.write(`left behind: ${left.join(' ')}\n`);
await kit[Symbol.asyncDispose]();
process.exitCode = end.exitCode;
