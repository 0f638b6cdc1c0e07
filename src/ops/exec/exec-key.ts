import type { ExecOp, Mount, Op } from '../../llb/index.ts';
import { type Canonical, canonicalDigest, type Digest } from '../../util/index.ts';

/**
 * Identity of an exec op without its inputs: everything that the step can observe (security rule 11). Left out on purpose:
 * proxy settings, the values of secrets, what devices are behind their names, and the selectors of mounts, which are part of the links
 * to the inputs.
 * @param devices names of those that the step gets on this machine, as BuildKit has it; what the step asked for is not seen in it
 * @param recorded what it can see of a recorded network; undefined for steps without one
 */
export function execKey(op: Op, exec: ExecOp, devices: readonly string[], recorded?: readonly string[]): Digest {
  const { meta } = exec;
  return canonicalDigest('tsbuild.exec.v3', {
    platform: op.platform === undefined ? null : { ...op.platform },
    args: meta.args,
    env: meta.env,
    cwd: meta.cwd,
    user: meta.user,
    extraHosts: meta.extraHosts.map(({ host, ip }) => [host, ip]),
    hostname: meta.hostname,
    ulimits: meta.ulimits.map(({ name, soft, hard }) => [name, soft, hard]),
    validExitCodes: meta.validExitCodes,
    network: exec.network,
    recorded,
    security: exec.security,
    secretEnv: exec.secretEnv.map(({ id, name, optional }) => [id, name, optional]),
    devices,
    mounts: exec.mounts.map(mountKey),
  });
}

function mountKey(mount: Mount): Canonical {
  return {
    type: mount.type,
    input: mount.input,
    dest: mount.dest,
    output: mount.output,
    readonly: mount.readonly,
    tmpfs: mount.tmpfs?.size,
    cache: mount.cache === undefined ? undefined : [mount.cache.id, mount.cache.sharing],
    secret: mount.secret === undefined ? undefined : { ...mount.secret },
    ssh: mount.ssh === undefined ? undefined : { ...mount.ssh },
  };
}

/** The mounts that read an input, and whether a checksum of what they read may stand for the input. */
export interface InputUse {
  readonly selectors: readonly string[];
  /** False where the step could see more of the input than the selectors name, or hand the input on unchanged. */
  readonly byContent: boolean;
}

/** How an exec op uses its input (BuildKit's rule, docs of ExecOp cache maps). */
export function execInputUse(exec: ExecOp, input: number): InputUse {
  const mounts = exec.mounts.filter((mount) => mount.input === input);
  const byContent =
    mounts.length > 0 &&
    mounts.every((mount) => {
      if (mount.contentCache === 'on') return true;
      if (mount.contentCache === 'off' || mount.dest === '/') return false;
      return mount.output < 0 || mount.readonly || mount.selector === '' || mount.selector === '/';
    });
  const selectors = [...new Set(mounts.map((mount) => mount.selector || '/'))].sort();
  return { selectors, byContent };
}
