import { closeSync, openSync, statSync } from 'node:fs';
import { findProgram } from '../sandbox/index.ts';
import { errnoOf } from '../util/index.ts';

/** A program that connects a network namespace with the machine's network without a right to the latter. */
export interface UserNetwork {
  readonly kind: 'pasta' | 'slirp4netns';
  /** Absolute. */
  readonly program: string;
  /** Whether the device that it makes its interface with may be opened by everybody, so that it needs no id of the caller's for it. */
  readonly anybody: boolean;
}

/** Why there is none, and what would help. */
export interface NoUserNetwork {
  readonly reason: string;
  /** A command to type, or what else to do. */
  readonly fix: string;
}

/** Both programs make their interface with it. */
const TUN = '/dev/net/tun';

/** What this machine has to connect a namespace with its network, best first: pasta is faster, and knows IPv6. */
export function findUserNetworks(): readonly UserNetwork[] | NoUserNetwork {
  const programs = (['pasta', 'slirp4netns'] as const).flatMap((kind) => {
    const program = findProgram(kind);
    return program === undefined ? [] : [{ kind, program }];
  });
  if (programs.length === 0)
    return { reason: 'neither pasta nor slirp4netns is installed', fix: 'sudo apt-get install passt' };
  const problem = tunProblem();
  if (problem !== undefined) return problem;
  const anybody = (statSync(TUN).mode & 0o006) === 0o006;
  return programs.map((found) => ({ ...found, anybody }));
}

/** Opens the device, which does nothing yet: its mode alone does not say what a container's rules for devices allow. */
function tunProblem(): NoUserNetwork | undefined {
  try {
    closeSync(openSync(TUN, 'r+'));
    return undefined;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EACCES')
      return { reason: `${TUN} may not be opened`, fix: `sudo chmod 0666 ${TUN}, as most distributions have it` };
    return {
      reason: errno === 'ENOENT' ? `there is no ${TUN}` : `${TUN} cannot be used here (${errno})`,
      fix: `sudo modprobe tun; in a container: start it with --device ${TUN}`,
    };
  }
}
