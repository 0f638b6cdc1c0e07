import fs from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { errnoOf } from '../util/index.ts';

/**
 * Connects to a socket in a directory.
 * @returns undefined when nobody listens there
 */
export function connectIn(directory: string, name: string): Promise<Socket | undefined> {
  let fd: number;
  try {
    fd = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  } catch {
    return Promise.resolve(undefined);
  }
  return new Promise((resolve, reject) => {
    // By descriptor: the path of a socket has room for 108 bytes.
    const socket = createConnection({ path: `/proc/self/fd/${fd}/${name}` });
    socket.once('connect', () => {
      fs.closeSync(fd);
      socket.removeAllListeners('error');
      socket.on('error', () => undefined);
      resolve(socket);
    });
    socket.once('error', (error) => {
      fs.closeSync(fd);
      const errno = errnoOf(error);
      if (errno === 'ECONNREFUSED' || errno === 'ENOENT' || errno === 'ECONNRESET') resolve(undefined);
      else reject(error);
    });
  });
}
