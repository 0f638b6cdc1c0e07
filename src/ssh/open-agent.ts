import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { fromErrno, TsbuildError } from '../util/index.ts';
import type { Agent } from './agent.ts';
import { forwardedAgent } from './forwarded-agent.ts';
import { keyAgent } from './key-agent.ts';
import { parsePrivateKey } from './private-key.ts';
import type { SshKey } from './ssh-key.ts';

/** Bytes of the largest key file, BuildKit's limit. */
const MAX_KEY_FILE = 100 * 1024;

/**
 * The agent that `--ssh` names: the socket of a running one, or files with private keys, which are read now and never again.
 * @param id for errors
 * @param paths absolute
 * @throws TsbuildError `TSB_USAGE`, `TSB_NOT_FOUND`, `TSB_PERMISSION`
 */
export function openAgent(id: string, paths: readonly string[]): Agent {
  const sockets: string[] = [];
  const keys: SshKey[] = [];
  for (const path of paths) {
    if (isSocket(path)) sockets.push(path);
    else keys.push(readKey(path));
  }
  const [socket] = sockets;
  if (socket === undefined) return keyAgent(keys);
  if (sockets.length === 1 && keys.length === 0) return forwardedAgent(socket);
  const why = keys.length > 0 ? 'keys and an agent cannot be combined' : 'there can be only one agent';
  throw new TsbuildError('TSB_USAGE', `Cannot use --ssh ${id}: ${why}`, {
    hint: 'give each its own id, and the steps a mount for each: RUN --mount=type=ssh,id=NAME',
  });
}

function isSocket(path: string): boolean {
  try {
    return statSync(path).isSocket();
  } catch (error) {
    throw fromErrno(error, `Cannot use SSH agent or key ${JSON.stringify(path)}`, 'TSB_USAGE', {
      hint: 'name the socket of a running SSH agent, or a file with a private key',
    });
  }
}

function readKey(path: string): SshKey {
  const doing = `Cannot use SSH key ${JSON.stringify(path)}`;
  let data: Buffer;
  try {
    data = readBounded(path, doing);
  } catch (error) {
    throw fromErrno(error, doing, 'TSB_USAGE');
  }
  try {
    return parsePrivateKey(data, path);
  } finally {
    data.fill(0);
  }
}

function readBounded(path: string, doing: string): Buffer {
  // What has become a pipe meanwhile must not hold us up.
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!fstatSync(fd).isFile())
      throw new TsbuildError('TSB_USAGE', `${doing}: it is neither a socket nor a regular file`);
    const data = Buffer.alloc(MAX_KEY_FILE + 1);
    let size = 0;
    for (let got = -1; got !== 0 && size < data.length; size += got)
      got = readSync(fd, data, size, data.length - size, null);
    if (size > MAX_KEY_FILE)
      throw new TsbuildError('TSB_USAGE', `${doing}: it has more than ${MAX_KEY_FILE} bytes, which no key has`);
    return data.subarray(0, size);
  } finally {
    closeSync(fd);
  }
}
